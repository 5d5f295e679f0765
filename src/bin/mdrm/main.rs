//! `mdrm`: makes keys, tokens and signed CPIX documents for `mdrm-authz`, for demos, tests and players in development.

mod check_config;
mod effective;
mod jwk;
mod keygen;
mod mint;
mod sign_cpix;
mod tunnel;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Keys and tokens for the Envoy filter mdrm-authz.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a key pair, a private JWK and the key document for the key service, or a master key.
    Keygen(keygen::Keygen),
    /// Make a token, or a Trust Tunnel body around one.
    Mint(mint::Mint),
    /// Check a plugin configuration, and show it with every default.
    CheckConfig(check_config::CheckConfig),
    /// Sign a CPIX document.
    SignCpix(sign_cpix::SignCpix),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::CheckConfig(check) => check.run(),
        Command::Keygen(keygen) => keygen.run(),
        Command::Mint(mint) => mint.run(),
        Command::SignCpix(sign) => sign.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mdrm: {error:#}");
            ExitCode::FAILURE
        }
    }
}

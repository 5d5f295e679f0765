//! `mdrm`: makes keys, tokens and signed CPIX documents for `mdrm-authz`, checks its configuration, and explains what it
//! decides.

mod advice;
mod check_config;
mod effective;
mod explain;
mod jwk;
mod keygen;
mod mint;
mod sign_cpix;
mod tunnel;

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;
use mdrm_authz::config::Config;

/// Keys, tokens and answers for the Envoy filter mdrm-authz.
#[derive(Debug, Parser)]
#[command(name = "mdrm", version)]
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
    /// Explain what the filter decides about a token or a request.
    Explain(explain::Explain),
    /// Say what codes mean, and what a client should do.
    Codes(advice::Codes),
    /// Check a plugin configuration, and show it with every default.
    CheckConfig(check_config::CheckConfig),
    /// Print the JSON Schema of the plugin configuration.
    Schema,
    /// Sign a CPIX document.
    SignCpix(sign_cpix::SignCpix),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Print the manual page.
    Man,
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("mdrm: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::CheckConfig(check) => check.run()?,
        Command::Codes(codes) => codes.run()?,
        Command::Completions { shell } => {
            // Not to standard output at once: whoever reads it may stop, and clap_complete would panic.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "mdrm", &mut script);
            std::io::stdout().write_all(&script)?;
        }
        Command::Explain(explain) => return explain.run(),
        Command::Keygen(keygen) => keygen.run()?,
        Command::Man => man()?,
        Command::Mint(mint) => mint.run()?,
        Command::Schema => println!("{:#}", Config::schema()),
        Command::SignCpix(sign) => sign.run()?,
    }
    Ok(ExitCode::SUCCESS)
}

/// One page for all commands: each with its options.
fn man() -> Result<()> {
    let mut cli = Cli::command();
    cli.build();
    let mut out = Vec::new();
    clap_mangen::Man::new(cli.clone()).render(&mut out)?;
    for command in cli.get_subcommands().filter(|command| command.get_name() != "help") {
        clap_mangen::Man::new(command.clone()).render(&mut out)?;
    }
    std::io::stdout().write_all(&out)?;
    Ok(())
}

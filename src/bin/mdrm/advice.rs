//! What a client should do about each code: `mdrm codes`, and the last line of `mdrm explain`. The guide for players shows the
//! same table.

use anyhow::Result;
use clap::Args;
use mdrm_authz::denial::Code;

/// What the client that got this code should do.
pub(crate) const fn advice(code: Code) -> &'static str {
    match code {
        Code::Mdrm500 => {
            "wait for Retry-After seconds, ask again; not the client's fault: the key service does not answer"
        }
        Code::Mdrm501 => "get a token, ask again",
        Code::Mdrm502 => "stop; the token is cut, encoded wrongly, sent twice, or beside another one",
        Code::Mdrm503 => "stop; the token, or its key, is for another service, or no route names the path",
        Code::Mdrm504 => "stop; kid is missing or names no usable key",
        Code::Mdrm505 => {
            "stop; algorithm, signature, issuer, version or a required claim is wrong, or it is a session token"
        }
        Code::Mdrm506 => {
            "stop, and tell the operator: the filter's own key for session tokens is unknown, unusable, disabled or deleted"
        }
        Code::Mdrm507 => {
            "stop, and tell the operator: the two halves of the filter's own key do not match, or signing failed"
        }
        Code::Mdrm508 => "get a new token and ask again, once",
        Code::Mdrm509 => "stop; the token service must set iat",
        Code::Mdrm510 => "get a new token once; if it happens again, the token service's clock is ahead",
        Code::Mdrm511 => "wait until nbf, or get a new token",
        Code::Mdrm512 => "stop; the key was deleted: the token service must sign with another one",
        Code::Mdrm513 => "stop; the key is disabled: the token service must sign with another one",
        Code::Mdrm514 => "stop; kid, sub or iss is not in the query, empty, there twice or badly escaped",
        Code::Mdrm517 => {
            "stop; the body, or what was inside, has not the form of a Trust Tunnel, or is too large. If it took body_timeout to \
             be told: tell the operator"
        }
        Code::Mdrm518 => "stop; the body names no usable master key, or the filter has none",
        Code::Mdrm519 => "stop; it was encrypted with another key, or changed on its way",
        Code::Mdrm520 => "stop; this service takes encrypted license requests only, or none",
        Code::Mdrm521 => "stop; the token's drm_protocol is for the other kind of license request",
        Code::Mdrm903 => "stop; CPIX, or a ContentKey in it, needs the attribute contentId",
        Code::Mdrm904 => "stop; contentId and id of CPIX must be equal, or one of them absent",
        Code::Mdrm905 => "stop; every contentId of the document and sub must be equal",
        Code::Mdrm910 => {
            "stop; the body is no CPIX document in UTF-8, has a DTD, is compressed or too large, or content-type says another charset"
        }
        Code::Mdrm914 => "stop; sign the document",
        Code::Mdrm915 => "stop; one signature, and no second one, must cover the whole document",
        Code::Mdrm916 => "stop; another key signed, or the document was changed afterwards",
        Code::Mdrm917 => "stop; kid names a key that cannot have made such a signature",
        Code::Mdrm918 => "stop; sign with the methods that are allowed",
    }
}

/// Says what codes mean, and what a client should do.
#[derive(Debug, Args)]
pub(crate) struct Codes {
    /// MDRM-508, or 508; all of them if none is named.
    codes: Vec<String>,
}

impl Codes {
    /// Prints a paragraph a code.
    pub(crate) fn run(self) -> Result<()> {
        let codes = if self.codes.is_empty() {
            Code::ALL.to_vec()
        } else {
            self.codes.iter().map(|name| named(name)).collect::<Result<_>>()?
        };
        for code in codes {
            println!("{code}  HTTP {}  {}\n          {}", code.status(), code.message(), advice(code));
        }
        Ok(())
    }
}

fn named(name: &str) -> Result<Code> {
    let number = name.trim_start_matches("MDRM-");
    let code = Code::ALL.iter().find(|code| code.name().trim_start_matches("MDRM-") == number);
    code.copied().ok_or_else(|| anyhow::anyhow!("{name} is no code of this filter: mdrm codes lists them"))
}

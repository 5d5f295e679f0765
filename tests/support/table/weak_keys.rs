//! Attacks 33 and 50: key documents that are well formed and give no security, or no sense.

use serde_json::json;

use super::key_documents::Add;
use crate::support::signer::{Alg, Document, base64url, from_base64url};

/// The product of two primes as the broken generator makes them: `k * M + (65537^a mod M)`, `M` the product of the first 126 primes.
const FACTORABLE: &str = "xQacjO4otwgaboRIrt1KEusiJUKTMmSgrfDfcBydmVv3fglcQKXZgqkw8zwOKZa2enEFpzZRfIHzFSgA4rO8IgTKTNYKXkw-1san\
    NZD3I_G8ebwDK3IFMxTWHbUz1oR_GowaARIWSTjRakbHjZvRVoJgJYXL231NQtc9EHJxpbh5ZvY-IwjpTHdLdetVFydsaU82MDkJ\
    x-4dWN7CPloGMa2Jg0ZNXsR66RNNFaflG1Wi76-mtTD2ViM3wEp9oxc18OCWouNt7nVoJ7Ijo-pzbxKq-Dr-K0Qa-Ko02CLMH4oD\
    76BOczcfAj0juca31ryIN12SBBAjB1L3rw1Axby-5w";

pub(super) fn add(add: &mut Add<'_>) {
    weak_rsa(add);
    broken_points(add);
}

/// RSA keys that give no security, and key types that do not fit.
fn weak_rsa(add: &mut Add<'_>) {
    let rs256 = Alg::RS256;
    let modulus = |bytes: usize| {
        let mut modulus = vec![0xc5; bytes];
        modulus[0] = 0xd1;
        json!(base64url(&modulus))
    };
    add(false, rs256, "attack 50: RSA with 1024 bits is 504", &|jwk| jwk.with("n", modulus(128)));
    add(false, rs256, "attack 50: RSA with 2040 bits is 504", &|jwk| jwk.with("n", modulus(255)));
    add(false, rs256, "attack 50: RSA with 8192 bits is 504", &|jwk| jwk.with("n", modulus(1024)));
    add(false, rs256, "attack 50: RSA with an even modulus is 504", &|jwk| {
        let mut modulus = from_base64url(jwk["n"].as_str().unwrap());
        *modulus.last_mut().unwrap() &= 0xfe;
        jwk.with("n", json!(base64url(&modulus)))
    });
    add(false, rs256, "attack 50: RSA with a modulus that can be factored (CVE-2017-15361) is 504", &|jwk| {
        jwk.with("n", json!(FACTORABLE))
    });
    for (name, exponent) in [
        ("0", vec![0]),
        ("1", vec![1]),
        ("2", vec![2]),
        ("4", vec![4]),
        ("17", vec![17]),
        ("65536", vec![1, 0, 0]),
        ("65539", vec![1, 0, 3]),
        ("2^64 + 1", vec![1, 0, 0, 0, 0, 0, 0, 0, 1]),
        ("a huge number", vec![0xb7; 256]),
    ] {
        let name = format!("attack 50: RSA with an exponent of {name} is 504");
        add(false, rs256, &name, &|jwk| jwk.with("e", json!(base64url(&exponent))));
    }
    add(false, rs256, "attack 50: RSA without a modulus is 504", &|jwk| jwk.without("n"));
    add(false, rs256, "attack 50: RSA without an exponent is 504", &|jwk| jwk.without("e"));
    add(false, rs256, "attack 50: RSA with an empty modulus is 504", &|jwk| jwk.with("n", json!("")));
    add(false, rs256, "attack 50: RSA with a modulus of zeros is 504", &|jwk| {
        jwk.with("n", json!(base64url(&[0; 256])))
    });
    add(false, rs256, "attack 50: RSA with a modulus as a number is 504", &|jwk| jwk.with("n", json!(7)));
    add(false, rs256, "attack 50: RSA with alg ES256 is 504", &|jwk| jwk.with("alg", json!("ES256")));
    add(false, rs256, "attack 50: RSA with alg HS256 is 504", &|jwk| jwk.with("alg", json!("HS256")));
    add(false, rs256, "attack 50: RSA with alg none is 504", &|jwk| jwk.with("alg", json!("none")));
    add(false, rs256, "attack 50: RSA with alg RSA-OAEP is 504", &|jwk| jwk.with("alg", json!("RSA-OAEP")));
    add(true, rs256, "an RSA key whose alg is null is for RS256", &|jwk| jwk.with("alg", json!(null)));
    add(false, rs256, "attack 50: RSA with kty rsa is 504", &|jwk| jwk.with("kty", json!("rsa")));
    add(false, rs256, "attack 50: RSA without kty is 504", &|jwk| jwk.without("kty"));
    add(true, rs256, "RSA without alg is usable for RS256", &|jwk| jwk.without("alg"));
}

/// Points that are not on their curve, and curves that do not fit the algorithm.
fn broken_points(add: &mut Add<'_>) {
    let es256 = Alg::ES256;
    let coordinate = |bytes: &[u8]| json!(base64url(bytes));
    add(false, es256, "attack 50: a point off the curve is 504", &|jwk| jwk.with("y", coordinate(&[1; 32])));
    add(false, es256, "attack 50: the point 0, 0 is 504", &|jwk| {
        jwk.with("x", coordinate(&[0; 32])).with("y", coordinate(&[0; 32]))
    });
    add(false, es256, "attack 50: a coordinate beyond the field is 504", &|jwk| jwk.with("x", coordinate(&[0xff; 32])));
    add(false, es256, "attack 50: a short coordinate is 504", &|jwk| {
        let x = from_base64url(jwk["x"].as_str().unwrap());
        jwk.with("x", coordinate(&x[1..]))
    });
    add(false, es256, "attack 50: a long coordinate is 504", &|jwk| {
        let mut x = vec![0];
        x.extend(from_base64url(jwk["x"].as_str().unwrap()));
        jwk.with("x", coordinate(&x))
    });
    add(false, es256, "attack 50: a point without y is 504", &|jwk| jwk.without("y"));
    add(false, es256, "attack 50: an empty coordinate is 504", &|jwk| jwk.with("x", json!("")));
    add(false, es256, "attack 50: a P-256 key with crv P-384 is 504", &|jwk| jwk.with("crv", json!("P-384")));
    add(false, es256, "attack 50: a P-256 key with alg ES384 is 504", &|jwk| jwk.with("alg", json!("ES384")));
    add(false, es256, "attack 50: a P-256 key with alg RS256 is 504", &|jwk| jwk.with("alg", json!("RS256")));
    add(false, es256, "attack 50: a P-256 key with crv secp256k1 is 504", &|jwk| jwk.with("crv", json!("secp256k1")));
    add(false, es256, "attack 50: an EC key without crv is 504", &|jwk| jwk.without("crv"));
    add(true, es256, "a P-256 key without alg is usable for ES256", &|jwk| jwk.without("alg"));
    add(true, Alg::ES384, "a P-384 key without alg is usable for ES384", &|jwk| jwk.without("alg"));
    add(true, Alg::ES512, "a P-521 key without alg is usable for ES512", &|jwk| jwk.without("alg"));
    add(true, Alg::EdDSA, "an Ed25519 key without alg is usable for EdDSA", &|jwk| jwk.without("alg"));
    add(false, Alg::EdDSA, "attack 50: an Ed25519 key with crv X25519 is 504", &|jwk| jwk.with("crv", json!("X25519")));
    add(false, Alg::EdDSA, "attack 50: an Ed25519 key with crv Ed448 is 504", &|jwk| jwk.with("crv", json!("Ed448")));
    add(false, Alg::EdDSA, "attack 50: an Ed25519 key with alg ES256 is 504", &|jwk| jwk.with("alg", json!("ES256")));
    add(false, Alg::EdDSA, "attack 50: a short Ed25519 key is 504", &|jwk| jwk.with("x", coordinate(&[9; 31])));
    add(false, Alg::EdDSA, "attack 50: a long Ed25519 key is 504", &|jwk| jwk.with("x", coordinate(&[9; 33])));
    add(false, Alg::EdDSA, "attack 33: the neutral element as a key is 504", &|jwk| {
        let mut neutral = [0; 32];
        neutral[0] = 1;
        jwk.with("x", coordinate(&neutral))
    });
    add(false, Alg::EdDSA, "attack 33: a key of order four is 504", &|jwk| jwk.with("x", coordinate(&[0; 32])));
    add(false, Alg::EdDSA, "attack 33: a key that is no point is 504", &|jwk| {
        let mut no_point = [0; 32];
        no_point[0] = 2;
        jwk.with("x", coordinate(&no_point))
    });
}

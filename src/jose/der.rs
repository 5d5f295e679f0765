//! The DER (X.690) that the host takes keys and signatures in. It is written here, never read.

/// `SubjectPublicKeyInfo` of an RSA key (RFC 3279 section 2.3.1); `n` and `e` are big-endian.
pub(super) fn rsa_key(n: &[u8], e: &[u8]) -> Vec<u8> {
    // 1.2.840.113549.1.1.1, and NULL for its parameters.
    const RSA_ENCRYPTION: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
    public_key(&[RSA_ENCRYPTION], &sequence(&[&unsigned(n), &unsigned(e)]))
}

/// The name of a curve.
#[derive(Debug, Clone, Copy)]
pub(super) struct Curve(&'static [u8]);

/// 1.2.840.10045.3.1.7.
pub(super) const P256: Curve = Curve(b"\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07");
/// 1.3.132.0.34.
pub(super) const P384: Curve = Curve(b"\x06\x05\x2b\x81\x04\x00\x22");
/// 1.3.132.0.35.
pub(super) const P521: Curve = Curve(b"\x06\x05\x2b\x81\x04\x00\x23");

/// `SubjectPublicKeyInfo` of an elliptic curve key (RFC 5480 section 2); `point` is as SEC 1 section 2.3.3 has it.
pub(super) fn ec_key(curve: Curve, point: &[u8]) -> Vec<u8> {
    // 1.2.840.10045.2.1.
    const EC_PUBLIC_KEY: &[u8] = b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01";
    public_key(&[EC_PUBLIC_KEY, curve.0], point)
}

/// `Ecdsa-Sig-Value` (RFC 3279 section 2.2.3) of `r` and `s`, one after the other and of the same length.
pub(super) fn ecdsa_signature(r_and_s: &[u8]) -> Vec<u8> {
    let (r, s) = r_and_s.split_at_checked(r_and_s.len() / 2).unwrap_or_default();
    sequence(&[&unsigned(r), &unsigned(s)])
}

fn public_key(algorithm: &[&[u8]], key: &[u8]) -> Vec<u8> {
    // The first octet of a BIT STRING tells how many bits of the last one do not count.
    sequence(&[&sequence(algorithm), &element(3, &[&[0], key])])
}

fn sequence(elements: &[&[u8]]) -> Vec<u8> {
    element(0x30, elements)
}

/// An INTEGER of this big-endian number, which is not negative.
fn unsigned(number: &[u8]) -> Vec<u8> {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    let number = number.get(zeros..).unwrap_or_default();
    // A first bit that is set would make it negative; and zero has an octet too.
    let sign: &[u8] = if number.first().is_none_or(|byte| *byte > 0x7f) { &[0] } else { &[] };
    element(2, &[sign, number])
}

fn element(tag: u8, contents: &[&[u8]]) -> Vec<u8> {
    let length: usize = contents.iter().map(|content| content.len()).sum();
    let octets = length.to_be_bytes();
    let octets = octets.get(octets.len().saturating_sub(octets_of(length))..).unwrap_or_default();
    let mut element = vec![tag];
    if length > 0x7f {
        // Long form (X.690 section 8.1.3.5): how many octets the length has.
        element.push(0x80 | octets.len() as u8);
    }
    element.extend_from_slice(octets);
    contents.iter().for_each(|content| element.extend_from_slice(content));
    element
}

/// How many octets a length takes; a length of zero takes one.
fn octets_of(length: usize) -> usize {
    (usize::BITS.saturating_sub(length.leading_zeros())).div_ceil(8).max(1) as usize
}

//! The alphabets and numbers that hashes are written in.

use super::Refusal;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD, STANDARD_NO_PAD};

/// bcrypt's own alphabet. Some libraries leave chance in the bits that a salt does not need.
const BCRYPT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::BCRYPT,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone)
        .with_decode_allow_trailing_bits(true),
);

/// Standard base64, with or without its padding.
const EITHER: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

pub(super) fn phc(bytes: &[u8]) -> String {
    STANDARD_NO_PAD.encode(bytes)
}

pub(super) fn from_phc(text: &str) -> Option<Vec<u8>> {
    STANDARD_NO_PAD.decode(text).ok()
}

pub(super) fn padded(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Reads base64 of the standard alphabet or the one for URLs, padded or not.
pub fn from_any(text: &str) -> Option<Vec<u8>> {
    EITHER.decode(text.replace('-', "+").replace('_', "/")).ok()
}

/// passlib's: `.` for `+`, no padding.
pub(super) fn from_passlib(text: &str) -> Option<Vec<u8>> {
    if text.contains('+') { None } else { from_phc(&text.replace('.', "+")) }
}

pub(super) fn bcrypt(bytes: &[u8]) -> String {
    BCRYPT.encode(bytes)
}

pub(super) fn from_bcrypt<const N: usize>(text: &str) -> Option<[u8; N]> {
    BCRYPT.decode(text).ok()?.try_into().ok()
}

/// Reads bytes as hexadecimal digits, of either case.
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
    if rest.is_empty() { bytes } else { None }
}

/// Six bits of crypt's alphabet, `./0-9A-Za-z`.
fn crypt_digit(byte: u8) -> Option<u32> {
    Some(u32::from(match byte {
        b'.' | b'/' => byte - b'.',
        b'0'..=b'9' => byte - b'0' + 2,
        b'A'..=b'Z' => byte - b'A' + 12,
        b'a'..=b'z' => byte - b'a' + 38,
        _ => return None,
    }))
}

/// A number in crypt's alphabet, the lowest digit first, of at most five digits.
pub(super) fn crypt_number(text: &str) -> Option<u32> {
    if text.len() > 5 {
        return None;
    }
    text.bytes().rev().try_fold(0u32, |number, byte| Some(number << 6 | crypt_digit(byte)?))
}

/// Bytes in crypt's alphabet, the lowest bits first.
pub(super) fn from_crypt(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let (mut held, mut bits) = (0u32, 0);
    for byte in text.bytes() {
        held |= crypt_digit(byte)? << bits;
        bits += 6;
        if bits >= 8 {
            bytes.push(held.to_le_bytes()[0]);
            (held, bits) = (held >> 8, bits - 8);
        }
    }
    if held == 0 && bits < 6 { Some(bytes) } else { None }
}

/// A decimal number without sign or leading zeros.
pub(super) fn decimal<T: std::str::FromStr>(text: &str) -> Option<T> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if plain && (text == "0" || !text.starts_with('0')) { text.parse().ok() } else { None }
}

/// The same, where digits that are too many mean a cost that is too great.
pub(super) fn cost(text: &str, what: &'static str, most: &'static str) -> Result<u32, Refusal> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    decimal(text).ok_or(if digits && !text.starts_with('0') {
        Refusal::TooCostly(most)
    } else {
        Refusal::Damaged(what)
    })
}

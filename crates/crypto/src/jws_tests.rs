//! Tests of `jws` and `jwt`: the examples of the RFCs, hostile tokens one by one, and random damage.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use super::Error::{BadSignature, Malformed, TooLong, UnknownKey, WrongAlgorithm, WrongType};
use super::*;
use crate::jwt::Error::{Claims, Expired, Jws, NotYetValid, WrongAudience, WrongIssuer};
use crate::jwt::{self, ACCESS_TOKEN, AccessToken, Expected};
use crate::key::tests::{A2_KEY, A2_SIGNATURE, rsa_pair};
use crate::{base64url, from_base64url};
use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA384, RSA_PSS_SHA256, RsaEncoding};
use base64::engine::{Engine as _, general_purpose as base64_engines};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::sync::LazyLock;

const NOW: i64 = 1_800_000_000;
const ISSUER: &str = "https://auth.example.com";
const AUDIENCE: &str = "example";

const NOT_THREE: &jwt::Error = &Jws(Malformed("it has not three parts"));
const BAD_HEADER: &jwt::Error = &Jws(Malformed("its header is not the one this server writes"));
const NOT_BASE64: [&jwt::Error; 3] = [
    &Jws(Malformed("its header is not base64url")),
    &Jws(Malformed("its payload is not base64url")),
    &Jws(Malformed("its signature is not base64url")),
];

static KEY: LazyLock<SigningKey> =
    LazyLock::new(|| SigningKey::generate(KeyKind::Rsa(RsaBits::Rsa2048)).unwrap());
static VERIFIER: LazyLock<VerifyingKey> = LazyLock::new(|| VerifyingKey::from_jwk(KEY.public()).unwrap());
static CLAIMS: LazyLock<AccessToken> = LazyLock::new(|| serde_json::from_value(payload()).unwrap());
static GOOD: LazyLock<String> = LazyLock::new(|| CLAIMS.sign(&KEY).unwrap());

fn header() -> Value {
    json!({ "alg": "RS256", "kid": KEY.public.kid, "typ": ACCESS_TOKEN })
}

fn payload() -> Value {
    let id = "0198c5a4-7e1b-7cc2-9d7e-3f2a8b1c4d5e";
    json!({ "iss": ISSUER, "sub": id, "aud": AUDIENCE, "exp": NOW + 900, "iat": NOW, "jti": "a-token",
        "client_id": "example", "sid": "a-session", "scope": "account",
        "status": { "status_list": { "idx": 7, "uri": "https://auth.example.com/status/1" } }, "public_id": id })
}

fn verify_at(token: &str, now: i64) -> Result<AccessToken, jwt::Error> {
    let expected = Expected { issuer: ISSUER, audience: AUDIENCE, now };
    AccessToken::verify(token, expected, |kid| (kid == KEY.public.kid).then_some(&*VERIFIER))
}

#[track_caller]
fn accepted(token: &str) {
    assert_eq!(verify_at(token, NOW).err(), None, "{token}");
}

#[track_caller]
fn refused(token: &str, error: &jwt::Error) {
    assert_eq!(verify_at(token, NOW).as_ref(), Err(error), "{token}");
}

/// Any two texts with our key's true signature.
fn seal([header, payload]: [&str; 2]) -> String {
    let input = format!("{header}.{payload}");
    format!("{input}.{}", base64url(&KEY.signature(input.as_bytes()).unwrap()))
}

/// Any header and payload with our key's true signature.
fn token(header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
    seal([&base64url(header.as_ref()), &base64url(payload.as_ref())])
}

const HEADER: usize = 0;
const PAYLOAD: usize = 1;
const SIGNATURE: usize = 2;

/// A signed token with `name` as `value` in its header or payload, or without `name` if that is empty.
fn with(part: usize, name: &str, value: &str) -> String {
    let mut objects = [header(), payload()];
    objects[part].as_object_mut().unwrap().remove(name);
    let mut texts = objects.map(|object| object.to_string());
    if !value.is_empty() {
        texts[part] = format!("{{{name:?}:{value},{}", &texts[part][1..]);
    }
    token(&texts[0], &texts[1])
}

/// The same for each `name=value` of a list.
#[track_caller]
fn refused_with(part: usize, members: &str, error: &jwt::Error) {
    for (name, value) in members.split_whitespace().map(|member| member.split_once('=').unwrap()) {
        refused(&with(part, name, value), error);
    }
}

fn parts(token: &str) -> [&str; 3] {
    token.split('.').collect::<Vec<_>>().try_into().unwrap()
}

/// The token with one part changed; signed anew if that part is under the signature.
fn with_part(token: &str, part: usize, text: &str) -> String {
    let mut all = parts(token);
    all[part] = text;
    if part == SIGNATURE { all.join(".") } else { seal([all[HEADER], all[PAYLOAD]]) }
}

#[test]
fn good_tokens() {
    assert_eq!(verify_at(&GOOD, NOW).as_ref(), Ok(&*CLAIMS));
    let header = format!(r#"{{"alg":"RS256","kid":"{}","typ":"at+jwt"}}"#, KEY.public.kid);
    assert_eq!(parts(&GOOD)[HEADER], base64url(header.as_bytes()));
    assert_eq!(parts(&GOOD)[PAYLOAD], base64url(&serde_json::to_vec(&*CLAIMS).unwrap()));
    accepted(&with(PAYLOAD, "more", r#"["a", "claim", "we", "do", "not", "know"]"#));
    accepted(&with(PAYLOAD, "scope", r#""several words""#));
    let reread = SigningKey::from_pkcs8(&KEY.to_pkcs8().unwrap()).unwrap();
    assert_eq!(CLAIMS.sign(&reread).unwrap(), *GOOD);
}

#[test]
fn algorithms() {
    for alg in "none None nOnE NONE rs256 RS384 RS512 PS256 ES256 EdDSA HS256 RS256,none".split(' ') {
        let hostile = with(HEADER, "alg", &json!(alg).to_string());
        refused(&hostile, &Jws(WrongAlgorithm));
        refused(&with_part(&hostile, SIGNATURE, ""), &Jws(WrongAlgorithm));
        refused(&with_part(&hostile, SIGNATURE, parts(&GOOD)[SIGNATURE]), &Jws(WrongAlgorithm));
    }
}

#[test]
fn keys_of_other_kinds() {
    let kinds = [KeyKind::Rsa(RsaBits::Rsa2048), KeyKind::P256, KeyKind::Ed25519];
    for (kind, name) in kinds.into_iter().zip(["RS256", "ES256", "EdDSA"]) {
        let key = SigningKey::generate(kind).unwrap();
        let verifier = VerifyingKey::from_jwk(key.public()).unwrap();
        let expected = Expected { issuer: ISSUER, audience: AUDIENCE, now: NOW };
        let verify = |token: &str| AccessToken::verify(token, expected, |_| Some(&verifier));
        let token = CLAIMS.sign(&key).unwrap();
        assert_eq!(verify(&token).as_ref(), Ok(&*CLAIMS));
        let kid = &key.public.kid;
        let header = format!(r#"{{"alg":"{name}","kid":"{kid}","typ":"at+jwt"}}"#);
        assert_eq!(parts(&token)[HEADER], base64url(header.as_bytes()));
        for alg in "RS256 ES256 EdDSA Ed25519 ES384 ES512 ES256K PS256 HS256 none es256".split(' ') {
            let header = json!({ "alg": alg, "kid": kid, "typ": ACCESS_TOKEN }).to_string();
            let input = format!("{}.{}", base64url(header.as_bytes()), parts(&token)[PAYLOAD]);
            let signed = format!("{input}.{}", base64url(&key.signature(input.as_bytes()).unwrap()));
            let error = (alg != name).then_some(Jws(WrongAlgorithm));
            assert_eq!(verify(&signed).err(), error, "{alg} under {name}");
        }
        for other in [with_part(&token, SIGNATURE, ""), with_part(&token, SIGNATURE, A2_SIGNATURE)] {
            assert_eq!(verify(&other), Err(Jws(BadSignature)));
        }
    }
}

#[test]
fn public_key_as_hmac_secret() {
    let pair = rsa_pair(&KEY).public_key();
    let modulus = pair.modulus().big_endian_without_leading_zero();
    let n = base64url(modulus);
    let spki: PublicKeyX509Der<'_> = pair.as_der().unwrap();
    let text = base64_engines::STANDARD.encode(&*spki);
    let lines: Vec<_> = text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).unwrap()).collect();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", lines.join("\n"));
    let jwk = serde_json::to_string(&KEY.public).unwrap();
    let encoded = [spki.as_ref(), pair.as_ref(), pem.as_bytes(), pem.trim_end().as_bytes()];
    for secret in encoded.into_iter().chain([jwk.as_bytes(), modulus, n.as_bytes(), b""]) {
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
        for (alg, error) in [(r#""HS256""#, &Jws(WrongAlgorithm)), (r#""RS256""#, &Jws(BadSignature))] {
            let hostile = with(HEADER, "alg", alg);
            let tag = aws_lc_rs::hmac::sign(&key, hostile.rsplit_once('.').unwrap().0.as_bytes());
            refused(&with_part(&hostile, SIGNATURE, &base64url(tag.as_ref())), error);
        }
    }
}

#[test]
fn signatures() {
    let input = GOOD.rsplit_once('.').unwrap().0.as_bytes();
    let signed_as = |encoding: &'static dyn RsaEncoding| {
        let mut signature = vec![0; 256];
        rsa_pair(&KEY).sign(encoding, &aws_lc_rs::rand::SystemRandom::new(), input, &mut signature).unwrap();
        signature
    };
    let (own, stranger) = (KEY.signature(input).unwrap(), A2_KEY.signature(input).unwrap());
    let other = from_base64url(parts(&with(PAYLOAD, "jti", "\"another\""))[SIGNATURE]).unwrap();
    let (pss, sha384) = (signed_as(&RSA_PSS_SHA256), signed_as(&RSA_PKCS1_SHA384));
    let (before, after) = ([&[0], &own[..]].concat(), [&own[..], &[0]].concat());
    let (zeros, ones) = ([0; 256], [0xff; 256]);
    let n = rsa_pair(&KEY).public_key().modulus().big_endian_without_leading_zero();
    let bad: [&[u8]; 12] =
        [&stranger, &other, &pss, &sha384, &before, &after, &own[1..], &own[..255], &zeros, &ones, n, &[]];
    for signature in bad {
        refused(&with_part(&GOOD, SIGNATURE, &base64url(signature)), &Jws(BadSignature));
    }
    // Claims are looked at only under a good signature.
    refused(&with_part(&with(PAYLOAD, "exp", "0"), SIGNATURE, A2_SIGNATURE), &Jws(BadSignature));
}

#[test]
fn headers() {
    let malformed = r#"alg= alg=null alg=true alg=256 alg=["RS256"] alg={"RS256":null} alg="none","alg":"RS256"
        kid= kid=null kid=true kid=1 kid=["0"] kid={"0":"0"} kid="0","kid":"0"
        typ= typ=null typ=true typ=1 typ=["at+jwt"] typ="JWT","typ":"at+jwt" ALG="RS256" =1
        crit=[] crit=["exp"] crit=["b64"] crit=["alg"] crit=null b64=false b64=true
        jku="https://example.org/jwks.json" x5u="https://example.org/cert.pem" jwk=null jwk={}
        x5c=["MIIB"] x5c=[] x5t="AAAA" x5t#S256="AAAA" cty="JWT" zip="DEF" enc="A256GCM""#;
    refused_with(HEADER, malformed, BAD_HEADER);
    let (kid, jwk) = (&KEY.public.kid, serde_json::to_string(&KEY.public).unwrap());
    refused_with(HEADER, &format!("jwk={jwk} kid=[{kid:?}] kid={kid:?},\"kid\":{kid:?}"), BAD_HEADER);
    let kinds = r#"typ="JWT" typ="jwt" typ="AT+JWT" typ="application/at+jwt" typ="at+jwt\u0020" typ="""#;
    refused_with(HEADER, kinds, &Jws(WrongType));
    let strange = r#"kid="" kid="0" kid="../../etc/passwd" kid="'/**/OR/**/''='" kid="';VACUUM;--""#;
    let near = format!(r#"kid="{kid}\u0000" kid="{kid}\u0020" kid="{}" kid="A{kid}""#, kid.to_lowercase());
    refused_with(HEADER, &format!("{strange} {near} kid={:?}", "k".repeat(4_000)), &Jws(UnknownKey));
    refused_with(HEADER, &format!("kid={:?}", "k".repeat(100_000)), &Jws(TooLong));

    let good = header().to_string();
    let (twice, comma, bom) = (format!("{good}{good}"), format!("{good},"), format!("\u{feff}{good}"));
    for text in ["", "null", "{}", "[]", "true", "1", "\"\"", "{", &good[1..], &twice, &comma, &bom] {
        refused(&token(text, payload().to_string()), BAD_HEADER);
    }
    refused(&token(b"{\"alg\":\"RS256\",\"kid\":\"\xff\",\"typ\":\"at+jwt\"}", "{}"), BAD_HEADER);
}

#[test]
fn loose_base64url() {
    // What may not stand around or between the two halves of a part; last, a length that nothing has.
    let around = ["{}=", "{}==", "={}", "{=}", " {}", "{} ", "\n{}", "{}\n", "{}\r\n", "{}\t", "{}\0"];
    let between = ["{ }", "{\n}", "{\r\n}", "{\0}", "{%}", "{*}", "{+}", "{/}", "{é}", "{\u{200b}}", "A"];
    for (index, part) in parts(&GOOD).into_iter().enumerate() {
        let (start, end) = part.split_at(part.len() / 2);
        for form in around.into_iter().chain(between) {
            let text = form.replace('{', start).replace('}', end);
            refused(&with_part(&GOOD, index, &text), NOT_BASE64[index]);
        }
    }
}

#[test]
fn standard_alphabet() {
    // Wherever `~~~???` stands, its base64url has both `-` and `_`.
    let header = r#"{"alg":"RS256","kid":"~~~???","typ":"at+jwt"}"#;
    let both = |token: &String| ['-', '_'].iter().all(|sign| parts(token)[SIGNATURE].contains(*sign));
    let strange = (0..).map(|number| token(header, format!("~~~???{number}"))).find(both).unwrap();
    refused(&strange, &Jws(UnknownKey));
    for (index, part) in parts(&strange).into_iter().enumerate() {
        for other in [part.replace('-', "+"), part.replace('_', "/")] {
            assert_ne!(part, other);
            refused(&with_part(&strange, index, &other), NOT_BASE64[index]);
        }
    }
}

#[test]
fn stray_bits_at_the_end() {
    let alphabet = base64::alphabet::URL_SAFE;
    let lax = base64_engines::NO_PAD.with_decode_allow_trailing_bits(true);
    let lax = base64_engines::GeneralPurpose::new(&alphabet, lax);
    // One byte over a multiple of three leaves four unused bits, two bytes leave two.
    let good = token(header().to_string(), format!("{:602}", payload().to_string()));
    accepted(&good);
    for (index, unused) in [4, 2, 4].into_iter().enumerate() {
        let part = parts(&good)[index];
        let (start, last) = part.split_at(part.len() - 1);
        let last = alphabet.as_str().find(last).unwrap();
        for stray in 1..1 << unused {
            let text = format!("{start}{}", &alphabet.as_str()[last + stray..=last + stray]);
            assert_eq!(lax.decode(&text).ok(), from_base64url(part));
            refused(&with_part(&good, index, &text), NOT_BASE64[index]);
        }
    }
}

#[test]
fn parts_and_dots() {
    let [h, p, s] = parts(&GOOD);
    let piece = |letter| "HPS".find(letter).map_or(letter, |index| [h, p, s][index]);
    let jwe = r#"{"alg":"RSA-OAEP","enc":"A256GCM"}"#;
    refused(&format!("{}.AAAA.AAAA.AAAA.AAAA", base64url(jwe.as_bytes())), BAD_HEADER);
    refused(&json!({ "payload": p, "protected": h, "signature": s }).to_string(), NOT_THREE);
    for (error, forms) in [
        (NOT_THREE, "|.|H|P|H.P|H P S|H,P,S"),
        (BAD_HEADER, "..|...|....|.P.S|.H.P.S|P.H.S|S.P.H"),
        (NOT_BASE64[HEADER], "a.b.c|Bearer H.P.S|~H.P.S"),
        (NOT_BASE64[PAYLOAD], "H.P.S.|H.P.S.S|H.P.S.S.S|H.P.S.H.P.S|H..P.S|H.P.S,H.P.S|H.P..S|H.a.S"),
        (NOT_BASE64[SIGNATURE], "H.P.S~|H.P.~S|H.P.a"),
        (&Jws(BadSignature), "H.P.|H.P.AAAA|H.P.SAAAA|H..S|H.H.S|H.P.P|H.PAAAA.S"),
    ] {
        for form in forms.split('|') {
            refused(&form.split_inclusive(|_| true).map(piece).collect::<String>(), error);
        }
    }
    // The same with the extra parts under the signature.
    for extra in [".", ".AAAA", ".AAAA.AAAA"] {
        refused(&seal([h, &format!("{p}{extra}")]), NOT_BASE64[PAYLOAD]);
    }
}

#[test]
fn lengths() {
    // Header, signature and two dots take 110 + 342 + 2 characters; four of the payload hold three bytes.
    let sized = |bytes| token(header().to_string(), format!("{:bytes$}", payload().to_string()));
    let (longest, longer) = (sized(5803), sized(5804));
    assert_eq!((longest.len(), longer.len()), (8192, 8193));
    accepted(&longest);
    refused(&"A".repeat(8192), NOT_THREE);
    refused(&longer, &Jws(TooLong));
    refused(&"é".repeat(1_000_000), &Jws(TooLong));
}

#[test]
fn claim_types() {
    let numbers = r#""1800000000" "" 1.5 1800000000.0 1.8e9 1e400 -1e400 true false [] [1800000000] {}
        9223372036854775808 -9223372036854775809 18446744073709551616 +1 01 0x1 -0 NaN Infinity"#;
    for value in numbers.split_whitespace() {
        refused_with(PAYLOAD, &format!("exp={value} iat={value} nbf={value}"), &Claims);
    }
    let good = payload().to_string();
    for (n, value) in payload().as_object().unwrap() {
        let members = format!("{n}= {n}=null {n}=true {n}={{}} {n}=[] {n}=[{value}] {n}=1.5");
        refused_with(PAYLOAD, &format!("{members} {n}={value},{n:?}:{value}"), &Claims);
    }
    let (twice, bom) = (format!("{good}{good}"), format!("\u{feff}{good}"));
    let surrogate = good.replace("a-token", "\\ud800");
    for text in ["", "null", "{}", "[]", "\"\"", &good[1..], &twice, &bom, &surrogate] {
        refused(&token(header().to_string(), text), &Claims);
    }
}

#[test]
fn claim_values() {
    for (name, good, error) in [("iss", ISSUER, &WrongIssuer), ("aud", AUDIENCE, &WrongAudience)] {
        for wrong in ["", "*", &format!("{good}/"), &format!("{good}\0"), &good.to_uppercase(), &good[1..]] {
            refused(&with(PAYLOAD, name, &json!(wrong).to_string()), error);
        }
    }
    let (min, max, past, soon) = (i64::MIN, i64::MAX, NOW - 1, NOW + 61);
    refused_with(PAYLOAD, &format!("exp={NOW} exp={past} exp=0 exp=-1 exp={min}"), &Expired);
    refused_with(PAYLOAD, &format!("iat={soon} iat={max} nbf={soon} nbf={max}"), &NotYetValid);
    // Times before 1970 are odd, but long past.
    for time in [NOW + 60, NOW, 0, -1, min] {
        accepted(&with(PAYLOAD, "iat", &time.to_string()));
        accepted(&with(PAYLOAD, "nbf", &time.to_string()));
    }
    accepted(&with(PAYLOAD, "exp", &(NOW + 1).to_string()));
    let endless = with(PAYLOAD, "exp", &max.to_string());
    let times = [min, NOW - 61, NOW - 60, NOW + 899, NOW + 900, max];
    let errors = [Some(NotYetValid), Some(NotYetValid), None, None, Some(Expired), Some(Expired)];
    assert_eq!(times.map(|now| verify_at(&GOOD, now).err()), errors);
    assert_eq!([max - 1, max].map(|now| verify_at(&endless, now).err()), [None, Some(Expired)]);
}

#[test]
fn json_forms_we_never_write() {
    let array = json!(["RS256", KEY.public.kid, ACCESS_TOKEN]);
    refused(&token(array.to_string(), payload().to_string()), BAD_HEADER);
    let array = json!([
        ISSUER,
        "sub",
        AUDIENCE,
        NOW + 900,
        NOW,
        null,
        "jti",
        "client",
        "sid",
        "scope",
        payload()["status"],
        "sub"
    ]);
    refused(&token(header().to_string(), array.to_string()), &Claims);
    refused_with(PAYLOAD, "nbf=null", &Claims);
    let not_utf8 = [b"{\"more\":\"\xff\",", &payload().to_string().as_bytes()[1..]].concat();
    refused(&token(header().to_string(), not_utf8), &Claims);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_refused(text in "\\PC*", parts in "[A-Za-z0-9_-]{0,99}(\\.[A-Za-z0-9_-]{0,99}){0,5}") {
        prop_assert!(verify_at(&text, NOW).is_err());
        prop_assert!(verify_at(&parts, NOW).is_err());
        let signed = verify_at(&token(&text, "{}"), NOW);
        prop_assert_eq!(signed.as_ref(), Err(BAD_HEADER));
        prop_assert_eq!(verify_at(&token(header().to_string(), &text), NOW), Err(Claims));
    }

    #[test]
    fn any_change_is_refused(at in 0..GOOD.len(), plain in "[A-Za-z0-9_.+/=-]", other in any::<char>()) {
        for (new, end) in [("", at + 1), (&plain, at), (&plain, at + 1), (&*other.to_string(), at + 1)] {
            let changed = [&GOOD[..at], new, &GOOD[end..]].concat();
            prop_assert_eq!(verify_at(&changed, NOW).is_ok(), changed == *GOOD);
        }
    }
}

//! Whether GitHub signed a body, by the secrets that Baton shares with it.

use hmac::{Hmac, Mac, digest::CtOutput};
use http::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

type HmacSha256 = Hmac<Sha256>;

/// The only header that counts: `X-Hub-Signature` is SHA-1.
const HEADER: &str = "x-hub-signature-256";

/// The secrets as prepared keys: the current one and, while it is being changed, the previous one.
#[derive(Clone)]
pub(super) struct Keys(Vec<HmacSha256>);

impl Keys {
    /// None where there is no secret, or an empty one: anybody could sign with that.
    pub fn new(secrets: &[SecretString]) -> Option<Self> {
        let keys: Vec<_> = secrets.iter().filter_map(key).collect();
        (!keys.is_empty() && keys.len() == secrets.len()).then_some(Self(keys))
    }

    /// Begins to verify a body that arrives in pieces.
    pub fn verify(&self, claimed: Claimed) -> Verification {
        Verification { claimed, sums: self.0.clone() }
    }
}

fn key(secret: &SecretString) -> Option<HmacSha256> {
    let secret = secret.expose_secret().as_bytes();
    if secret.is_empty() { None } else { HmacSha256::new_from_slice(secret).ok() }
}

/// The signature that a request claims, of the right form.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claimed([u8; 32]);

impl Claimed {
    /// Reads `X-Hub-Signature-256: sha256=` and 64 hexadecimal digits; exactly one such header.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(HEADER).iter();
        let digits = values.next()?.to_str().ok()?.strip_prefix("sha256=")?;
        if values.next().is_some() || digits.len() != 64 || !digits.is_ascii() {
            return None;
        }
        let mut claimed = [0; 32];
        for (byte, place) in claimed.iter_mut().zip((0..64).step_by(2)) {
            let pair = &digits[place..place + 2];
            if !pair.bytes().all(|b| b.is_ascii_hexdigit()) {
                return None;
            }
            *byte = u8::from_str_radix(pair, 16).ok()?;
        }
        Some(Self(claimed))
    }
}

/// A body on its way through the sums.
pub(super) struct Verification {
    claimed: Claimed,
    sums: Vec<HmacSha256>,
}

impl Verification {
    /// Takes the next piece of the body.
    pub fn update(&mut self, piece: &[u8]) {
        for sum in &mut self.sums {
            sum.update(piece);
        }
    }

    /// Whether one of the secrets made the claimed signature; compared in constant time.
    pub fn holds(self) -> bool {
        let claimed = CtOutput::<HmacSha256>::new(self.claimed.0.into());
        self.sums.into_iter().any(|sum| sum.finalize() == claimed)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    /// The example of GitHub's documentation on validating deliveries.
    const SECRET: &str = "It's a Secret to Everybody";
    const SIGNED: &str = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn claimed(value: &str) -> Option<Claimed> {
        let mut headers = HeaderMap::new();
        headers.insert(HEADER, HeaderValue::from_str(value).unwrap());
        Claimed::of(&headers)
    }

    fn holds(secrets: &[&str], pieces: &[&str]) -> bool {
        let secrets: Vec<SecretString> = secrets.iter().map(|s| (*s).into()).collect();
        let keys = Keys::new(&secrets).unwrap();
        let mut verification = keys.verify(claimed(&format!("sha256={SIGNED}")).unwrap());
        for piece in pieces {
            verification.update(piece.as_bytes());
        }
        verification.holds()
    }

    #[test]
    fn githubs_own_example_holds() {
        assert!(holds(&[SECRET], &["Hello, World!"]));
        assert!(holds(&[SECRET], &["Hello", ", ", "", "World!"]));
        assert!(!holds(&[SECRET], &["Hello, World"]));
        assert!(!holds(&["another"], &["Hello, World!"]));
    }

    #[test]
    fn the_previous_secret_holds_while_the_secret_is_changed() {
        assert!(holds(&["new", SECRET], &["Hello, World!"]));
        assert!(holds(&[SECRET, "old"], &["Hello, World!"]));
    }

    #[test]
    fn a_signature_of_another_form_is_none() {
        for value in [
            "",
            SIGNED,
            "sha1=757107ea0eb2509fc211221cce984b8a37570b6d",
            "sha256=",
            &format!("sha256={}", &SIGNED[1..]),
            &format!("sha256={SIGNED}0"),
            &format!("SHA256={SIGNED}"),
            &format!("sha256=+1{}", &SIGNED[2..]),
            &format!("sha256=zz{}", &SIGNED[2..]),
        ] {
            assert!(claimed(value).is_none(), "{value}");
        }
        let mut twice = HeaderMap::new();
        let value = HeaderValue::from_str(&format!("sha256={SIGNED}")).unwrap();
        twice.append(HEADER, value.clone());
        twice.append(HEADER, value);
        assert!(Claimed::of(&twice).is_none());
    }

    #[test]
    fn an_empty_secret_is_no_secret() {
        assert!(Keys::new(&[]).is_none());
        assert!(Keys::new(&["".into()]).is_none());
        assert!(Keys::new(&["good".into(), "".into()]).is_none());
    }
}

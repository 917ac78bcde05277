//! A key pair for an App registration made up on the spot.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine;

/// An RSA key pair of 2048 bits in PEM.
#[derive(Clone)]
pub struct AppKey {
    /// PKCS#8, for the App.
    pub private_pem: String,
    /// SubjectPublicKeyInfo, for the stand-in.
    pub public_pem: String,
}

/// Makes a key pair; takes tens of milliseconds.
///
/// # Errors
/// When the cryptographic library has no randomness.
pub fn generate_app_key() -> std::io::Result<AppKey> {
    let failed = |_| std::io::Error::other("no RSA key could be made");
    let pair = KeyPair::generate(KeySize::Rsa2048).map_err(failed)?;
    let private: Pkcs8V1Der<'_> = pair.as_der().map_err(failed)?;
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(failed)?;
    Ok(AppKey {
        private_pem: pem("PRIVATE KEY", private.as_ref()),
        public_pem: pem("PUBLIC KEY", public.as_ref()),
    })
}

fn pem(label: &str, der: &[u8]) -> String {
    let encoded = base64::engine::general_purpose::STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in encoded.as_bytes().chunks(64) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text + &format!("-----END {label}-----\n")
}

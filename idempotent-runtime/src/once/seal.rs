//! Encryption at rest: what the application makes of a reply before it is written into the table.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// Why something could not be sealed or opened; it goes to the log, and not to the client.
pub type SealError = Box<dyn StdError + Send + Sync>;

/// Encrypts what the table of the records holds of replies; given to [`Builder::seal`](crate::Builder::seal).
///
/// What is sealed is the whole reply: status, headers, body. What is not: the row's id (a digest of key and principal, unless
/// [`checksum(false)`](crate::Builder::checksum) makes it readable), the payload's digest, and when the row expires.
///
/// Both functions are called on the blocking pool, `seal` within the transaction. Whatever `seal` gives is opened once before it is
/// committed, so that no row is left that cannot be read.
///
/// To change keys, put the key's number in front of what is sealed, and keep old keys as long as `once` keeps records. Rows
/// from before the application sealed come to `open` as they are: clear, and to be recognized by it.
///
/// ```
/// use idempotent_runtime::Idempotent;
/// use idempotent_runtime::once::{Seal, SealError};
///
/// struct Aead; // and its key
/// # impl Aead {
/// #     fn encrypt(&self, _: &[u8], clear: &[u8]) -> Result<Vec<u8>, SealError> { Ok(clear.to_vec()) }
/// #     fn decrypt(&self, _: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> { Ok(sealed.to_vec()) }
/// # }
///
/// impl Seal for Aead {
///     fn seal(&self, id: &str, clear: &[u8]) -> Result<Vec<u8>, SealError> {
///         self.encrypt(id.as_bytes(), clear) // a new nonce, then the ciphertext; the id as associated data
///     }
///
///     fn open(&self, id: &str, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
///         self.decrypt(id.as_bytes(), sealed)
///     }
/// }
///
/// let idempotent = Idempotent::builder("bank").seal(Aead).build();
/// ```
pub trait Seal: Send + Sync + 'static {
    /// The bytes that go into the table. Bind them to the row's id, so that nobody can move them into another row.
    ///
    /// # Errors
    ///
    /// If they cannot be made: then nothing is committed, and the client gets a 500.
    fn seal(&self, id: &str, clear: &[u8]) -> Result<Vec<u8>, SealError>;

    /// The reverse. The bytes are not to be trusted.
    ///
    /// # Errors
    ///
    /// If they are not what [`seal`](Self::seal) made for this id: then the client gets a 503, for what was done must not be done again.
    fn open(&self, id: &str, sealed: &[u8]) -> Result<Vec<u8>, SealError>;
}

/// The application's [`Seal`], if it has one.
#[derive(Clone, Default)]
pub(crate) struct Sealing(Option<Arc<dyn Seal>>);

impl fmt::Debug for Sealing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_on() { "sealed" } else { "clear" })
    }
}

impl Sealing {
    pub(crate) fn by(seal: impl Seal) -> Self {
        Self(Some(Arc::new(seal)))
    }

    pub(crate) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    pub(super) fn seal(&self, id: &str, clear: Vec<u8>) -> Result<Vec<u8>, SealError> {
        match &self.0 {
            None => Ok(clear),
            Some(seal) => seal.seal(id, &clear),
        }
    }

    pub(super) fn open(&self, id: &str, sealed: Vec<u8>) -> Result<Vec<u8>, SealError> {
        match &self.0 {
            None => Ok(sealed),
            Some(seal) => seal.open(id, &sealed),
        }
    }
}

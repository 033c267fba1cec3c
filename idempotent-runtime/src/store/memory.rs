/// The store of a single process.
#[derive(Debug, Default)]
pub struct MemoryStore {}

use idempotent_runtime::Tracked;

diesel::table! {
    users {
        id -> Integer,
    }
}

#[derive(Tracked)]
#[tracked(table = users)]
pub struct User {
    pub id: i32,
}

fn main() {}

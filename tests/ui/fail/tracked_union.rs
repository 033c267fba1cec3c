use idempotent_runtime::Tracked;

diesel::table! {
    users {
        id -> Integer,
    }
}

#[derive(Tracked)]
pub union User {
    pub id: i32,
}

fn main() {}

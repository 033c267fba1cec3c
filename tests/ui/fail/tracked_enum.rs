use idempotent_runtime::Tracked;

diesel::table! {
    users {
        id -> Integer,
    }
}

#[derive(Tracked)]
#[diesel(table_name = users)]
pub enum User {
    Named(String),
}

fn main() {}

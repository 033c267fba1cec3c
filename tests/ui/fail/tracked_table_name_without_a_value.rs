use idempotent_runtime::Tracked;

diesel::table! {
    users {
        id -> Integer,
    }
}

#[derive(Tracked)]
#[diesel(table_name)]
pub struct User {
    pub id: i32,
}

fn main() {}

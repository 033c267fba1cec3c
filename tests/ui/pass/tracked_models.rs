#![deny(warnings)]
#![forbid(unsafe_code)]

use idempotent_runtime::Tracked;

mod schema {
    diesel::table! {
        users {
            id -> Integer,
            email -> Text,
        }
    }

    diesel::table! {
        memberships (team_id, user_id) {
            team_id -> Integer,
            user_id -> Integer,
        }
    }

    diesel::table! {
        shop.order_lines (kind) {
            #[sql_name = "type"]
            kind -> Text,
        }
    }
}

use schema::users;

#[derive(Tracked)]
pub struct User {
    pub id: i32,
}

#[derive(Tracked)]
#[diesel(table_name = users)]
pub struct NewUser<'a, T: Clone = i32, const N: usize = 1>
where
    T: Send,
{
    pub email: &'a [T; N],
}

#[derive(Tracked)]
#[diesel(check_for_backend(diesel::sqlite::Sqlite), treat_none_as_null = true)]
#[diesel(table_name = schema::memberships, primary_key(team_id, user_id))]
pub struct Membership(pub i32, pub i32);

#[derive(Tracked)]
#[diesel(table_name = schema::order_lines, primary_key(kind))]
#[tracked(crate = ::idempotent_runtime)]
pub struct OrderLine;

fn tracked<T: Tracked>() {
    let _ = T::TABLE;
}

fn main() {
    tracked::<User>();
    tracked::<NewUser<'_, i64, 3>>();
    tracked::<Membership>();
    tracked::<OrderLine>();
}

//! A small shop whose API has no webhooks: what the demo polls.
//!
//! Its orders go through a fixed story, one step for each [`Shop::tick`], so that everyone sees the same. It knows no
//! clock and spawns nothing: whoever starts it drives it.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderMap, StatusCode, header};
use tokio::net::TcpListener;

/// An order, with its total as the shop writes it: `10.10`, not `10.1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Order {
    id: u32,
    customer: &'static str,
    status: &'static str,
    total: &'static str,
}

/// What happens in the shop at one tick.
#[derive(Clone, Copy, Debug)]
enum Step {
    Status(u32, &'static str),
    Total(u32, &'static str),
    Placed(Order),
    Removed(u32),
}

/// The orders when the shop opens.
const OPENING: [Order; 3] = [
    Order { id: 1001, customer: "Ada", status: "paid", total: "10.10" },
    Order { id: 1002, customer: "Grace", status: "paid", total: "249.00" },
    Order { id: 1003, customer: "Edsger", status: "packed", total: "33.50" },
];

const NEWCOMER: Order = Order { id: 1004, customer: "Barbara", status: "paid", total: "72.90" };

/// The story, with what a reader of the shop's own log would say of each step. Afterwards it begins again.
const STORY: [(Step, &str); 8] = [
    (Step::Status(1001, "packed"), "order 1001 is packed"),
    (Step::Placed(NEWCOMER), "Barbara places order 1004"),
    (Step::Status(1001, "shipped"), "order 1001 is shipped"),
    (Step::Total(1002, "224.10"), "the price of order 1002 is corrected"),
    (Step::Status(1003, "cancelled"), "order 1003 is cancelled"),
    (Step::Status(1002, "packed"), "order 1002 is packed"),
    (Step::Removed(1003), "order 1003 is removed"),
    (Step::Status(1004, "packed"), "order 1004 is packed"),
];

/// How often the story has been told, and how far it has come.
#[derive(Debug)]
struct Book {
    orders: Vec<Order>,
    steps: usize,
}

impl Book {
    fn opening() -> Self {
        Self { orders: OPENING.to_vec(), steps: 0 }
    }

    fn advance(&mut self) -> &'static str {
        let place = self.steps % (STORY.len() + 1);
        self.steps += 1;
        let Some((step, sentence)) = STORY.get(place) else {
            self.orders = OPENING.to_vec();
            return "the story begins again";
        };
        self.apply(*step);
        sentence
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Status(id, status) => self.edit(id, |order| order.status = status),
            Step::Total(id, total) => self.edit(id, |order| order.total = total),
            Step::Placed(order) => self.orders.push(order),
            Step::Removed(id) => self.orders.retain(|order| order.id != id),
        }
    }

    fn edit(&mut self, id: u32, change: impl FnOnce(&mut Order)) {
        if let Some(order) = self.orders.iter_mut().find(|order| order.id == id) {
            change(order);
        }
    }

    /// The list as JSON, written by hand: a library of floats would turn `10.10` into `10.1`.
    fn json(&self) -> String {
        let mut json = String::from("{\"orders\":[");
        for (at, Order { id, customer, status, total }) in self.orders.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            let members = format!(r#""id":{id},"customer":"{customer}","status":"{status}","total":{total}"#);
            // Writing to a string cannot fail.
            let _ = write!(json, "{comma}{{{members}}}");
        }
        json + "]}"
    }

    /// Strong, and new with every step (RFC 9110, section 8.8.3).
    fn etag(&self) -> String {
        format!("\"orders-{}\"", self.steps)
    }
}

/// The shop. Clones are the same shop.
#[derive(Clone, Debug)]
pub(crate) struct Shop {
    book: Arc<Mutex<Book>>,
    addr: SocketAddr,
}

impl Shop {
    /// Opens the shop on a listener. Returns it, and the future that serves it until it is dropped.
    ///
    /// # Errors
    ///
    /// The listener has no address: it is broken.
    pub(crate) fn start(
        listener: TcpListener,
    ) -> std::io::Result<(Self, impl Future<Output = std::io::Result<()>> + Send)> {
        let shop = Self { book: Arc::new(Mutex::new(Book::opening())), addr: listener.local_addr()? };
        let routes = Router::new().route("/orders", get(orders)).with_state(Arc::clone(&shop.book));
        Ok((shop, async move { axum::serve(listener, routes).await }))
    }

    /// Lets the next thing happen, and says what it is.
    pub(crate) fn tick(&self) -> &'static str {
        lock(&self.book).advance()
    }

    /// `http://` and its address: a vendor's `base_url`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }
}

/// Nothing in here panics while it holds the book, and a demo must not stop for it anyway.
fn lock(book: &Mutex<Book>) -> std::sync::MutexGuard<'_, Book> {
    book.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `GET /orders`: the list, or 304 for those who have it.
async fn orders(State(book): State<Arc<Mutex<Book>>>, headers: HeaderMap) -> Response {
    let (etag, json) = {
        let book = lock(&book);
        (book.etag(), book.json())
    };
    let have = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if have == Some(etag.as_str()) {
        return (StatusCode::NOT_MODIFIED, [(header::ETAG, etag)]).into_response();
    }
    ([(header::CONTENT_TYPE, "application/json".to_owned()), (header::ETAG, etag)], json).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(book: &Book) -> serde_json::Value {
        serde_json::from_str(&book.json()).expect("the shop writes JSON")
    }

    #[test]
    fn the_list_is_json_with_the_shops_own_digits() {
        let book = Book::opening();
        assert_eq!(parsed(&book)["orders"].as_array().map(Vec::len), Some(3));
        assert!(book.json().contains(r#""total":10.10}"#), "{}", book.json());
    }

    #[test]
    fn every_step_changes_the_list_and_its_tag() {
        let mut book = Book::opening();
        for (_, sentence) in STORY {
            let before = (book.json(), book.etag());
            assert_eq!(book.advance(), sentence);
            assert!(before.0 != book.json() && before.1 != book.etag(), "nothing changed: {sentence}");
        }
    }

    #[test]
    fn the_story_shows_every_kind_of_change_and_begins_again() {
        let mut book = Book::opening();
        let ids = |book: &Book| book.orders.iter().map(|order| order.id).collect::<Vec<_>>();
        for _ in STORY {
            book.advance();
        }
        assert_eq!(ids(&book), [1001, 1002, 1004]);
        let shipped = book.orders[0];
        assert_eq!((shipped.status, shipped.total), ("shipped", "10.10"));
        book.advance();
        assert_eq!(book.orders, OPENING);
        assert_eq!(book.advance(), "order 1001 is packed");
    }

    #[tokio::test]
    async fn who_has_the_list_gets_304_until_the_next_step() {
        let book = Arc::new(Mutex::new(Book::opening()));
        let ask = async |tag: Option<&str>| {
            let mut headers = HeaderMap::new();
            if let Some(tag) = tag {
                headers.insert(header::IF_NONE_MATCH, tag.parse().expect("a tag is a header's value"));
            }
            orders(State(Arc::clone(&book)), headers).await
        };
        let first = ask(None).await;
        let tag = first.headers()[header::ETAG].to_str().expect("a tag is text").to_owned();
        assert_eq!(first.status(), StatusCode::OK);
        assert_eq!(ask(Some(&tag)).await.status(), StatusCode::NOT_MODIFIED);
        lock(&book).advance();
        assert_eq!(ask(Some(&tag)).await.status(), StatusCode::OK);
    }
}

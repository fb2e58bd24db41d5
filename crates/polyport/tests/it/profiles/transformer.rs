//! The conversion proxy: `config/app.yml`, three vendors, pages at an address of their own.

use polyport_testkit::raw::get;
use serde_json::json;

use super::Shop;

#[tokio::test(flavor = "multi_thread")]
async fn s2_46_three_urls_answer() {
    let mut shop = Shop::new("transformer");
    // The usual port of the pages may be taken here.
    shop.set("POLYPORT_SERVER__ALSO", "127.0.0.1:0");
    let open = shop.open(&["--all", "--port", "0"]);
    for (address, path) in [(open.second_address(), "/"), (open.address(), "/v1/models"), (open.address(), "/docs")] {
        let answer = get(address, path, &[("accept", "text/html")]).await;
        assert_eq!(answer.status, 200, "{path}");
        assert_eq!(answer.header("content-type").starts_with("text/html"), path != "/v1/models", "{path}");
    }
    // S2-44
    drop(open);
    drop(shop.open(&["--all", "--no-reload"]));
    assert_eq!(shop.check()["listen"], json!(["127.0.0.1:8000", "127.0.0.1:0"]));
}

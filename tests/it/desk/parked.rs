//! Destinations that are no longer in the configuration.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_nobody_works_on_is_shown_and_goes_on_when_its_destination_is_back() {
    let pair = pair().await;
    let (receiver, works) = broken(&pair).await;
    let healthy = Receiver::answering(200).await;
    let mut config = with(
        named(&pair, &receiver.url(), json!({})),
        json!({ "retry": { "tries": 0, "then": "every 1s" } }),
    );
    let mut other = pair.copy(&healthy.url());
    other["name"] = "other".into();
    let mut both = config.clone();
    both["des"].as_array_mut().unwrap().push(other.clone());
    let site = Site::new(&both);
    pair.fill_source(1..=3).await;
    let mut daemon = site.start();
    daemon
        .until("it waits", LIMIT, || listed(&site, &["--destination", "crm", "--state", "slow"]).len() == 3)
        .await;
    daemon.stop().await;

    config["des"] = json!([other]);
    site.write(&config);
    let mut daemon = site.start();
    daemon.wait_output("parked, the destination is not in the configuration").await;
    let queue = site.run(&["queue", "-c", "{c}"]);
    for word in ["main → crm", "not in the configuration", "parked, nobody works on it", "--destination crm"]
    {
        ok(&queue, word);
    }
    ok(&site.run(&["deliveries", "list", "-c", "{c}", "--destination", "crm"]), "parked");
    let parked = &listed(&site, &["--destination", "crm"])[0];
    ok(&site.run(&["deliveries", "show", "-c", "{c}", &number(parked)]), "parked, the destination");
    let exported = site.run(&["deliveries", "export", "-c", "{c}", "--destination", "crm"]);
    assert_eq!(exported.stdout.lines().count(), 3);
    ok(&site.run(&["deliveries", "close", "-c", "{c}", &number(parked)]), "closed: 1");
    daemon.stop().await;

    works.store(true, std::sync::atomic::Ordering::SeqCst);
    let before = receiver.count();
    site.write(&both);
    let mut daemon = site.start();
    daemon.until("the others go on", LIMIT, || receiver.count() >= before + 2).await;
    daemon
        .until("they heal", LIMIT, || {
            listed(&site, &["--destination", "crm", "--state", "healed"]).len() == 2
        })
        .await;
    assert!(!site.run(&["queue", "-c", "{c}"]).stdout.contains("not in the configuration"));
}

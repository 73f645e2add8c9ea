//! The wire shape of `PushBear`, kept for `pushbearSendKey`; the base URL can name a compatible service.

use async_trait::async_trait;
use reqwest::{Client, Url, redirect};

use super::{Alert, Channel, DEADLINE, NotifyError};
use crate::base::secret::Secret;

pub(super) struct Pushbear {
    client: Client,
    key: Secret<String>,
    url: Url,
}

impl Pushbear {
    pub(super) fn new(key: Secret<String>, url: Url) -> Result<Self, NotifyError> {
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .timeout(DEADLINE)
            .build()
            .map_err(|e| NotifyError(e.without_url().to_string()))?;
        Ok(Self { client, key, url })
    }
}

#[async_trait]
impl Channel for Pushbear {
    fn name(&self) -> &'static str {
        "pushbear"
    }

    async fn tell(&self, alert: &Alert) -> Result<(), NotifyError> {
        let mut url = self.url.clone();
        url.query_pairs_mut()
            .append_pair("sendkey", self.key.expose())
            .append_pair("text", &alert.subject())
            .append_pair("desp", &alert.text());
        // The key stands in the URL, so no error may carry it.
        let answer =
            self.client.get(url).send().await.map_err(|e| NotifyError(e.without_url().to_string()))?;
        if answer.status().is_success() {
            Ok(())
        } else {
            Err(NotifyError(format!("the service answered {}", answer.status())))
        }
    }
}

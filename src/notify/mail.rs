//! Mail over SMTP.

use async_trait::async_trait;
use lettre::message::{Mailbox, header::ContentType};
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};

use super::{Alert, Channel, DEADLINE, NotifyError};
use crate::base::chain::chain;
use crate::config::{SmtpConfig, SmtpSecurity};

pub(super) struct Mail {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Vec<Mailbox>,
}

impl Mail {
    pub(super) fn new(config: &SmtpConfig) -> Result<Self, NotifyError> {
        let address = |text: &str| {
            text.parse::<Mailbox>().map_err(|e| NotifyError(format!("`{text}` is not a mail address: {e}")))
        };
        let failed = |e: lettre::transport::smtp::Error| NotifyError(chain(&e).to_string());
        let mut builder = match config.security {
            SmtpSecurity::None => AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&config.host),
            SmtpSecurity::StartTls => {
                AsyncSmtpTransport::<Tokio1Executor>::starttls_relay(&config.host).map_err(failed)?
            }
            SmtpSecurity::Tls => AsyncSmtpTransport::<Tokio1Executor>::relay(&config.host).map_err(failed)?,
        }
        .port(config.port);
        if let (Some(user), Some(password)) = (&config.user, &config.password) {
            builder = builder.credentials(Credentials::new(user.clone(), password.expose().clone()));
        }
        Ok(Self {
            transport: builder.build(),
            from: address(&config.from)?,
            to: config.to.iter().map(|to| address(to)).collect::<Result<_, _>>()?,
        })
    }
}

#[async_trait]
impl Channel for Mail {
    fn name(&self) -> &'static str {
        "mail"
    }

    async fn tell(&self, alert: &Alert) -> Result<(), NotifyError> {
        let mut message = Message::builder().from(self.from.clone()).subject(alert.subject());
        for to in &self.to {
            message = message.to(to.clone());
        }
        let message = message
            .header(ContentType::TEXT_PLAIN)
            .body(alert.text())
            .map_err(|e| NotifyError(chain(&e).to_string()))?;
        // The transport's own time limit covers only the connect phase.
        match tokio::time::timeout(DEADLINE, self.transport.send(message)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(e)) => Err(NotifyError(chain(&e).to_string())),
            Err(_) => Err(NotifyError("the mail server did not finish within 20 s".to_owned())),
        }
    }
}

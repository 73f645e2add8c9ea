//! Mail over SMTP.

use async_trait::async_trait;
use lettre::message::{Mailbox, header::ContentType};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::Credentials;
use lettre::{AsyncSmtpTransport, AsyncTransport, Message as Letter, Tokio1Executor};

use super::http::{limits, scrubbed};
use super::{Channel, DEADLINE, Limits, Message, SendError};
use crate::base::chain::chain;
use crate::config::{SmtpConfig, SmtpSecurity};
use crate::model::ErrorClass;

pub(super) struct Mail {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Vec<Mailbox>,
    secrets: Vec<String>,
}

impl Mail {
    pub(super) fn new(config: &SmtpConfig) -> Result<Self, SendError> {
        let address = |text: &str| {
            let parsed = text.parse::<Mailbox>();
            parsed.map_err(|e| SendError::lasting(format!("`{text}` is not a mail address: {e}")))
        };
        let failed = |e: Error| SendError::lasting(chain(&e).to_string());
        let mut builder = match config.security {
            SmtpSecurity::None => AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&config.host),
            SmtpSecurity::StartTls => {
                AsyncSmtpTransport::<Tokio1Executor>::starttls_relay(&config.host).map_err(failed)?
            }
            SmtpSecurity::Tls => AsyncSmtpTransport::<Tokio1Executor>::relay(&config.host).map_err(failed)?,
        }
        .port(config.port);
        let mut secrets = Vec::new();
        if let (Some(user), Some(password)) = (&config.user, &config.password) {
            builder = builder.credentials(Credentials::new(user.clone(), password.expose().clone()));
            secrets.push(password.expose().clone());
        }
        Ok(Self {
            transport: builder.build(),
            from: address(&config.from)?,
            to: config.to.iter().map(|to| address(to)).collect::<Result<_, _>>()?,
            secrets,
        })
    }

    fn letter(&self, message: &Message) -> Result<Letter, SendError> {
        let mut letter = Letter::builder().from(self.from.clone()).subject(message.title.as_str());
        for to in &self.to {
            letter = letter.to(to.clone());
        }
        let letter = letter.header(ContentType::TEXT_PLAIN).body(format!("{}\n", message.text));
        letter.map_err(|e| SendError::lasting(chain(&e).to_string()))
    }
}

#[async_trait]
impl Channel for Mail {
    fn limits(&self) -> Limits {
        limits(3, 10)
    }

    async fn send(&self, message: &Message) -> Result<String, SendError> {
        let letter = self.letter(message)?;
        // The transport's own time limit covers only the connect phase.
        match tokio::time::timeout(DEADLINE, self.transport.send(letter)).await {
            Ok(Ok(answer)) => {
                let said = answer.message().collect::<Vec<_>>().join(" ");
                Ok(scrubbed(&format!("{} {said}", answer.code()), &self.secrets))
            }
            Ok(Err(e)) => {
                let said = scrubbed(&chain(&e).to_string(), &self.secrets);
                let class = match () {
                    () if e.is_tls() => ErrorClass::Tls,
                    () if e.is_timeout() => ErrorClass::Timeout,
                    // The server has answered, and said no: for ever, or for now.
                    () if e.is_permanent() || e.is_transient() => ErrorClass::BodyRule,
                    () if e.is_response() || e.is_client() => ErrorClass::Protocol,
                    () => ErrorClass::Connect,
                };
                let error =
                    if e.is_permanent() { SendError::lasting(said) } else { SendError::passing(said) };
                Err(error.of_class(class))
            }
            Err(_) => {
                let error = SendError::passing("the mail server did not finish within 20 s".to_owned());
                Err(error.of_class(ErrorClass::Timeout))
            }
        }
    }
}

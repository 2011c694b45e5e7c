//! The one backward arrow: a token whose key is not held is judged once more, after its provider was
//! asked.

use std::borrow::Cow;

use keystead_core::{Reason, Rejection, Requirements, TokenLimits, UnverifiedToken};

use super::{VerifiedToken, Verifier};
use crate::provider::Asked;

impl Verifier {
    /// Verifies a token now; if no key is held that it could be signed with, asks its provider first.
    ///
    /// A token with a key that is held, and one that no key could save, is answered at once, as by
    /// [`Verifier::verify`]: a bad signature never waits. An unknown `kid` has every network source
    /// asked whose latest answer was a good one, and waits for that, or for a provider's very first
    /// answer after start: at most `unknown_kid_wait` (1 s), and at most 256 callers for one
    /// provider. Then the token is judged once more, and that is the verdict. It is refused for good
    /// (401) only if no attempt that could bring the key is still under way.
    ///
    /// Who makes up kids gets little: one fetch in 30 s for each provider (`unknown_kid_cooldown`),
    /// which never keeps a token with a known key waiting.
    ///
    /// The attempts are those of the refresh, which must have been started; without it the answer
    /// comes at once. The future may be dropped, which ends no attempt, and it needs neither timers
    /// nor I/O of the runtime that polls it.
    ///
    /// ```
    /// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    /// # runtime.block_on(async {
    /// # let token = "not.a.token";
    /// use keystead::Verifier;
    ///
    /// let verifier = Verifier::builder().build();
    /// let _refresh = verifier.start()?;
    /// match verifier.verify_wait(token).await {
    ///     Ok(verified) => println!("{:?}", verified.claims().subject()),
    ///     Err(refused) => println!("{}: {refused}", refused.http_status()),
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// # })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// # Errors
    /// The first reason to refuse it.
    pub async fn verify_wait(&self, token: &str) -> Result<VerifiedToken, Rejection> {
        self.verify_wait_with(token, &Requirements::default()).await
    }

    /// The same, with what this call asks for in place of the provider's policy.
    ///
    /// # Errors
    /// The first reason to refuse it.
    pub async fn verify_wait_with(
        &self,
        token: &str,
        requirements: &Requirements,
    ) -> Result<VerifiedToken, Rejection> {
        let refused = match self.verify_with(token, requirements) {
            Err(refused) if lacks_a_key(refused.reason()) => refused,
            verdict => return verdict,
        };
        // In a box, as few come here, and everybody's future would be twice as large.
        match Box::pin(self.ask_for_key(token, &refused)).await {
            // Whatever could have brought the key may have ended between the two looks.
            Asked::Nobody | Asked::Answered => self.verify_with(token, requirements),
            Asked::Unanswered => {
                self.verify_with(token, requirements).map_err(Rejection::while_asking)
            }
        }
    }

    async fn ask_for_key(&self, token: &str, refused: &Rejection) -> Asked {
        let (provider, kid) = {
            let table = self.0.table.load();
            let by_name = |name| table.providers.iter().find(|known| known.config().name == name);
            let Some(provider) = refused.provider().and_then(by_name) else { return Asked::Nobody };
            (provider.clone(), kid_of(token, table.limits, refused.reason()))
        };
        provider.ask_for(kid.as_deref()).await
    }
}

/// The `kid` that a token names. Not every reason holds it; the token was read once already.
fn kid_of(token: &str, limits: TokenLimits, reason: &Reason) -> Option<String> {
    if let Reason::NoKey { kid, .. } = reason {
        return kid.as_deref().map(str::to_owned);
    }
    let token = UnverifiedToken::parse(token, limits).ok()?;
    token.header().kid().map(Cow::into_owned)
}

/// Whether another key than those that are held could change the verdict.
const fn lacks_a_key(reason: &Reason) -> bool {
    matches!(reason, Reason::NoKey { .. } | Reason::NoKeysYet { .. } | Reason::KeysExpired { .. })
}

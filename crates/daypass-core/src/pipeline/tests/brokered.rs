//! What is said of a credential that a cloud made.

use super::*;
use crate::credential::Brokered;
use async_trait::async_trait;

/// A cloud whose answer came at this time.
struct Cloud(Timestamp);

#[async_trait]
impl Issuer for Cloud {
    async fn issue(
        &self,
        directory: &Directory,
        authorized: &Authorized,
        draw: &Draw,
    ) -> Result<Issued, Refusal> {
        let made = TripleIssuer::default().issue(directory, authorized, draw).await?;
        let brokered = Brokered {
            issuer: "cloud".into(),
            key: "AKIDroot".into(),
            obtained: self.0,
            request: None,
            kept: false,
            shared: false,
        };
        Ok(Issued { brokered: Some(brokered), ..made })
    }
}

/// Attack on nobody, but an upload that breaks: whoever is told the seconds that are left counts from when it is told.
#[tokio::test]
async fn the_time_for_which_a_cloud_was_waited_for_is_over() {
    let bench = Bench::new();
    let directory = bench.world.directory();
    let issue = Issue::new(RoleChoice::Default, Form::Triple(TripleKind::Tencent));
    let authorized = authorize(&directory, &bench.world.caller("AKIDworld"), "/", &issue).ok().unwrap();
    for (came, handed_out) in [(later(7), later(9)), (later(11), later(11))] {
        let cloud: Arc<dyn Issuer> = Arc::new(Cloud(came));
        let (clock, entropy) = (bench.clock.clone(), Arc::new(SeededEntropy::new(1)));
        let issuers = [("local".to_owned(), cloud)].into();
        let pipeline = Pipeline::new(clock, entropy, bench.store.clone(), issuers, bench.application.clone());
        let draw = Draw::fresh(&SeededEntropy::new(1), later(9));
        let granted = pipeline.issue(&directory, &authorized, &draw).await.ok().unwrap();
        assert_eq!(granted.handed_out, handed_out);
    }
}

use attesto_core::{AuditHead, AuthorityId, KekId, SealedAuditHead};

use crate::error::AuditHeadError;
use crate::kek::{KeyEncryptionKey, KeyEncryptionKeys};
use crate::mac;

impl KeyEncryptionKeys {
    /// Makes the MAC of a head that follows one under `kek_id`. The head stays under the same key-encryption key until it
    /// is [rewrapped](Self::rewrap_audit_head): servers need not agree on which one is the first.
    pub fn seal_audit_head(
        &self,
        head: AuditHead,
        kek_id: &KekId,
        authority: &AuthorityId,
    ) -> Result<SealedAuditHead, AuditHeadError> {
        Ok(seal(head, self.audit_kek(kek_id)?, authority))
    }

    /// Makes the MAC under the first key-encryption key: of the head of a new chain, or of one that stood under another.
    pub fn rewrap_audit_head(&self, head: AuditHead, authority: &AuthorityId) -> SealedAuditHead {
        seal(head, self.sealing(), authority)
    }

    /// The head, if a holder of its key-encryption key wrote it for this database.
    pub fn open_audit_head(
        &self,
        sealed: &SealedAuditHead,
        authority: &AuthorityId,
    ) -> Result<AuditHead, AuditHeadError> {
        let kek = self.audit_kek(&sealed.kek_id)?;
        if mac::is_genuine_audit_head(sealed, authority, kek) {
            Ok(sealed.head)
        } else {
            Err(AuditHeadError::Altered)
        }
    }

    fn audit_kek(&self, id: &KekId) -> Result<&KeyEncryptionKey, AuditHeadError> {
        self.find(id).ok_or_else(|| AuditHeadError::KekMissing { kek_id: id.clone() })
    }
}

fn seal(head: AuditHead, kek: &KeyEncryptionKey, authority: &AuthorityId) -> SealedAuditHead {
    SealedAuditHead { head, kek_id: kek.id(), mac: mac::audit_head_mac(&head, authority, kek) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{KEKS, NOW, authority, newer_kek, older_kek};

    #[test]
    fn a_head_stays_under_its_key_until_it_is_rewrapped() {
        let old = KeyEncryptionKeys::new(older_kek(), vec![]);
        let new = KeyEncryptionKeys::new(newer_kek(), vec![]);
        let head = AuditHead::begin(NOW);
        let sealed = old.rewrap_audit_head(head, &authority());
        assert_eq!(KEKS.open_audit_head(&sealed, &authority()), Ok(head));
        let next = KEKS.seal_audit_head(head, &sealed.kek_id, &authority()).unwrap();
        assert_eq!(next, sealed);
        let missing = Err(AuditHeadError::KekMissing { kek_id: older_kek().id() });
        assert_eq!(new.open_audit_head(&sealed, &authority()), missing);
        let rewrapped = KEKS.rewrap_audit_head(head, &authority());
        assert_eq!(new.open_audit_head(&rewrapped, &authority()), Ok(head));
        let renamed = SealedAuditHead { kek_id: older_kek().id(), ..rewrapped };
        assert_eq!(KEKS.open_audit_head(&renamed, &authority()), Err(AuditHeadError::Altered));
    }
}

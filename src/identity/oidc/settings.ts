import type { IdpConfig } from '../../config/model.ts'

/** What of a provider's configuration the protocol needs. */
export type OidcSettings = Omit<IdpConfig, 'directory' | 'label' | 'callbackPath'>

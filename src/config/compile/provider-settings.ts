/** What is written of one identity provider, wherever that is, and what has been made of it. Types only. */
import type { DirectoryConfig, IdpConfig } from '../model.ts'
import type { Path } from '../issues.ts'
import type { GlobalInput } from '../schema.ts'
import type { ProviderInput } from '../schema/providers.ts'

export interface ProviderSettings {
  readonly name: string
  readonly values: Omit<ProviderInput, 'directory'>
  /** Where a value is written, `['idp_client_id']`. */
  readonly at: (key: keyof ProviderInput) => Path
  /** Given, and not usable: nobody shall say that it is missing. */
  readonly isBroken: (key: keyof ProviderInput) => boolean
  /** Of its redirect URI. */
  readonly callbackPath: string
  /** False: another process has the client secret (`services: proxy`). */
  readonly holdsSecrets: boolean
}

export interface DirectorySettings {
  /** `okta`, `keycloak`. */
  readonly provider: string
  readonly directory: GlobalInput['directory']
  /** Where it is written: `['directory']`. */
  readonly path: Path
  /** Older names for parts of it, which the default provider alone has. */
  readonly older: Partial<Pick<GlobalInput, OldName | 'idp_service_account'>>
  readonly allowHttp: boolean
  readonly isBroken: boolean
  /** False: another process reads it (`services: proxy`). */
  readonly holdsSecrets: boolean
}

export type OldName = 'idp_refresh_directory_interval' | 'idp_refresh_directory_timeout'

export interface Written {
  readonly settings: ProviderSettings
  readonly directory: DirectorySettings
}

/** A provider as far as it is usable, and where it is written. */
export interface CompiledProvider {
  /** undefined: what is wrong with it was reported. */
  readonly idp: Omit<IdpConfig, 'directory'> | undefined
  readonly directory: DirectoryConfig
  readonly written: Written
}

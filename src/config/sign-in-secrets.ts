import type { Path } from './issues.ts'

/** What only the sign-in service uses. A proxy (`services: proxy`) that does not have them cannot lose them. */
const OF_DIRECTORY: readonly Path[] = [
  ['directory', 'okta', 'api_token'],
  ['directory', 'okta', 'private_key'],
  ['directory', 'okta', 'event_hook_secret'],
  ['directory', 'scim_token'],
]
const OF_ALL: readonly Path[] = [
  ['idp_client_secret'],
  ['idp_service_account'],
  ...OF_DIRECTORY,
  ['shared_signals', 'authorization'],
]
const OF_PROVIDER: readonly Path[] = [['client_secret'], ...OF_DIRECTORY]

/** Where they are written, with these names in `identity_providers`. */
export function signInSecrets(providers: readonly string[]): readonly Path[] {
  return [...OF_ALL, ...providers.flatMap((name) => OF_PROVIDER.map((path) => ['identity_providers', name, ...path]))]
}

import type { Report } from '../issues.ts'
import type { Draft } from '../validate.ts'

/** What only the sign-in service uses. A proxy that does not have them cannot lose them. */
const OF_DIRECTORY = [
  ['directory', 'okta', 'api_token'],
  ['directory', 'okta', 'private_key'],
  ['directory', 'okta', 'event_hook_secret'],
  ['directory', 'scim_token'],
]
const SECRETS = [['idp_client_secret'], ['idp_service_account'], ...OF_DIRECTORY, ['shared_signals', 'authorization']]
const OF_PROVIDER = [['client_secret'], ...OF_DIRECTORY]

/** Do the other keys fit what this process serves? */
export function checkServices({ globals }: Draft, report: Report): void {
  const { services, storage, databroker_storage_type: older } = globals
  if (services === 'all') return
  if ((older ?? storage.type) === 'memory') {
    report.error(
      ['services'],
      `\`${services}\` needs a store that it shares with the other processes, and storage.type is memory`,
    )
  }
  if (services === 'authenticate') return
  const ofProviders = Object.keys(globals.identity_providers).flatMap((name) =>
    OF_PROVIDER.map((path) => ['identity_providers', name, ...path]),
  )
  for (const path of [...SECRETS, ...ofProviders]) {
    if (report.isWritten(path)) report.warning(path, 'not used: with `services: proxy` keep it from this process')
  }
}

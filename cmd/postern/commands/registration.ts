import type { Config, IdpConfig } from '../../../src/config/model.ts'
import type { Finding } from '../finding.ts'
import { count } from '../text.ts'

/** An address of ours that the identity provider has to know, to the letter. */
export interface Registration {
  readonly key:
    | 'redirect_uri'
    | 'sign_out_redirect_uri'
    | 'backchannel_logout_uri'
    | 'universal_logout_uri'
    | 'shared_signals_uri'
  /** As the provider's console calls it. */
  readonly label: string
  readonly uri: string
}

/** Where codes come, of the sign-in service. */
export function redirectUri({ fixed }: Config, { callbackPath }: IdpConfig): string {
  return fixed.authenticateServiceUrl.origin + callbackPath
}

/** Where browsers come back to when they have signed out at the provider. */
export function signOutUri(config: Config): string {
  return controlUri(config, 'signed_out')
}

function controlUri({ fixed, live }: Config, name: string): string {
  return `${fixed.authenticateServiceUrl.origin}${live.naming.controlPrefix}/${name}`
}

/** What to register: the first two are needed, by the others the provider tells of sign-outs. */
export function registrations(config: Config, idp: IdpConfig): readonly Registration[] {
  const at = (name: string): string => controlUri(config, name)
  const isOkta = idp.provider === 'okta'
  return [
    { key: 'redirect_uri', label: 'Sign-in redirect URI', uri: redirectUri(config, idp) },
    // Google has none, and Entra ID takes it as one more redirect URI.
    {
      key: 'sign_out_redirect_uri',
      label: isOkta ? 'Sign-out redirect URI' : 'Sign-out redirect URI, where it has one',
      uri: signOutUri(config),
    },
    isOkta
      ? { key: 'universal_logout_uri', label: 'Universal Logout endpoint', uri: at('universal_logout') }
      : {
          key: 'backchannel_logout_uri',
          label: 'Back-channel logout URL, where it has one',
          uri: at('backchannel_logout'),
        },
    ...(config.fixed.sharedSignals
      ? [{ key: 'shared_signals_uri', label: 'Shared signals endpoint', uri: at('ssf') } as const]
      : []),
  ]
}

/** What the provider's metadata say about signals and step-up. `metadata`: its discovery document. */
export function judgeOffers(
  { live }: Pick<Config, 'live'>,
  idp: IdpConfig,
  metadata: Readonly<Record<string, unknown>>,
): readonly Finding[] {
  const findings: Finding[] = []
  // Okta has Universal Logout, of which its metadata say nothing.
  if (idp.provider !== 'okta') {
    const offers = metadata['backchannel_logout_supported'] === true
    findings.push({
      check: 'back-channel logout',
      status: offers ? 'ok' : 'note',
      message: offers
        ? 'the provider offers it: register the URL above'
        : 'the provider does not say that it has it: a sign-out there then ends sessions here with the next refresh only',
    })
  }
  const { acr_values_supported: known } = metadata
  if (!Array.isArray(known)) return findings
  for (const { name, demand, definedAt } of live.routes) {
    const values = (demand?.providers?.includes(idp.name) ?? true) ? (demand?.acrValues ?? []) : []
    if (values.length === 0 || values.some((value) => known.includes(value))) continue
    findings.push({
      check: `acr_values of ${name}`,
      status: 'warn',
      message: `the provider lists none of them, so nobody may come in; it lists ${known.join(', ')} (${definedAt})`,
    })
  }
  return findings
}

/** What to enter in Okta's Admin Console for an event hook, one a line. */
export function describeHook({ uri, events }: { readonly uri: string; readonly events: readonly string[] }) {
  return [
    `  URI      ${uri}`,
    '  Header   Authorization: the value of directory.okta.event_hook_secret',
    `  Events   ${count(events.length, 'type')}:`,
    ...events.map((event) => `           ${event}`),
  ]
}

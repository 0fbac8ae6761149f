import type { Naming, SharedSignalsConfig } from '../model.ts'
import type { Report } from '../issues.ts'
import type { GlobalInput } from '../schema.ts'
import { realSecret } from './secrets.ts'
import { onPrivateNetwork, parseUrl } from './urls.ts'

const SHORTEST_SECRET = 16

/** Who pushes security events to us; undefined: nobody. */
export function compileSharedSignals(
  globals: GlobalInput,
  { providerIssuer, authenticateUrl }: { readonly providerIssuer: string; readonly authenticateUrl: URL },
  { controlPrefix }: Naming,
  report: Report,
): SharedSignalsConfig | undefined {
  const { issuer: written, audience, authorization: shown } = globals.shared_signals
  const at = (key: string): readonly [string, string] => ['shared_signals', key]
  if (shown === undefined) {
    for (const key of ['issuer', 'audience'] as const) {
      if (globals.shared_signals[key] !== undefined) report.error(at(key), 'needs shared_signals.authorization, too')
    }
    return undefined
  }
  const { protocol, origin } = new URL(providerIssuer)
  // As the provider itself: http where its issuer may be.
  const issuer =
    written === undefined
      ? origin
      : parseUrl(written, onPrivateNetwork(protocol === 'http:', 'idp_allow_http'), at('issuer'), report)?.href
  const authorization = realSecret(shown, at('authorization'), report)
  if (authorization && shown.length < SHORTEST_SECRET) {
    report.error(
      at('authorization'),
      `expected at least ${SHORTEST_SECRET} characters; run \`postern secrets generate\``,
    )
  }
  if (issuer === undefined || !authorization) return undefined
  return {
    issuer: issuer.replace(/\/$/, ''),
    // Okta chooses the name itself, and does not say by which rule (okta-api.md#shared-signals).
    audiences:
      audience === undefined
        ? [new URL(`${controlPrefix}/ssf`, authenticateUrl).href, authenticateUrl.origin]
        : [audience],
    authorization,
  }
}

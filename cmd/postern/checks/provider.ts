/** Is the identity provider there, is it the one that was meant, and do its clock and ours agree? */
import { discoveryUrl, placed, unsafeEndpoint } from '../../../src/config/provider-endpoints.ts'
import { describeDuration } from '../../../src/lib/duration.ts'
import { epochMillis } from '../../../src/lib/time.ts'
import type { Clock, Span } from '../../../src/types.ts'
import type { Config, IdpConfig } from '../../../src/config/model.ts'
import { judgeOffers } from '../commands/registration.ts'
import type { Finding } from '../finding.ts'
import { type Answer, askJson, unanswered } from './ask.ts'
import { checkClient } from './client.ts'

/** Tokens are judged with 30 s of tolerance; a provider's `Date` is in whole seconds, and the answer takes its time. */
const MAX_SKEW: Span = 60_000

/** OpenID Connect Discovery §4.3: the document must name exactly the issuer that was asked. */
export async function checkProvider(config: Config, idp: IdpConfig, clock: Clock): Promise<readonly Finding[]> {
  const url = discoveryUrl(idp)
  const answer = await askJson(url, idp.timeout, idp.outbound ?? {})
  const issuer = judgeIssuer(config, idp, url, answer)
  if ('problem' in answer) return [issuer]
  const time = judgeClock(idp, answer.date, clock)
  if (issuer.status === 'fail') return [issuer, ...time]
  return [issuer, ...time, ...(await checkClient(config, idp, clock)), ...judgeOffers(config, idp, answer.body)]
}

function judgeIssuer({ live }: Config, idp: IdpConfig, url: string, answer: Answer): Finding {
  const check = `identity provider ${idp.issuer}`
  const fail = (message: string, remedy: string): Finding => ({ check, status: 'fail', message, remedy })
  if ('problem' in answer) return unanswered(check, answer, 'idp_provider_url')
  if (answer.status !== 200) {
    return fail(`${url} answered ${answer.status}: no issuer is there`, remedyOfAddress(idp))
  }
  const { issuer, scopes_supported: scopes } = answer.body
  if (typeof issuer !== 'string') return fail(`${url} is not a discovery document`, remedyOfAddress(idp))
  if (issuer.replace(/\/$/, '') !== idp.issuer) {
    return fail(`it calls itself ${issuer}`, `write idp_provider_url: ${issuer}`)
  }
  const metadata = placed(answer.body, idp)
  const unsafe = unsafeEndpoint(metadata, idp)
  if (unsafe !== undefined) return fail(unsafe, 'see idp_provider_url: its addresses must be https, and its own')
  const missing = Array.isArray(scopes) ? idp.scopes.filter((scope) => !scopes.includes(scope)) : []
  const message = `answers, but does not list the scopes ${missing.join(', ')}`
  if (missing.length > 0) return { check, status: 'note', message }
  if (live.groupsScope.includes(idp.name) && !(Array.isArray(scopes) && scopes.includes('groups'))) {
    return {
      check,
      status: 'warn',
      message: 'it does not list the scope groups, so a sign-in does not ask for it',
      remedy: `see that the claim "${live.groupsClaim}" comes without it, or add its scope to idp_scopes`,
    }
  }
  return { check, status: 'ok', message: 'discovery answers with this issuer' }
}

/** An Okta org is an issuer itself and may have others (okta-api.md#authorization-servers). */
function remedyOfAddress({ provider, issuer }: IdpConfig): string {
  const { origin, pathname } = new URL(issuer)
  if (provider !== 'okta') return 'see idp_provider_url'
  return pathname === '/'
    ? 'write idp_provider_url: the address of the org, as in https://corp.okta.com'
    : `write idp_provider_url: ${origin} (the org's own server), or see Security > API > Authorization Servers for its issuers`
}

/** undefined: it does not say what time it is. */
function judgeClock({ issuer }: IdpConfig, date: number, clock: Clock): readonly Finding[] {
  if (Number.isNaN(date)) return []
  const ahead = epochMillis(clock.now()) - date
  const check = `clock, compared with ${new URL(issuer).host}`
  if (Math.abs(ahead) <= MAX_SKEW) return [{ check, status: 'ok', message: 'they agree to a minute' }]
  const message = `this machine's clock is ${describeDuration(Math.round(Math.abs(ahead) / 60_000) * 60_000)} ${ahead > 0 ? 'ahead' : 'behind'}, so every ID token would be refused`
  return [{ check, status: 'fail', message, remedy: 'set it, and keep it set by NTP' }]
}

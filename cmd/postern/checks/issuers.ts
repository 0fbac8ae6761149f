/** Who else says something of people and programs: issuers of tokens, and who pushes security events. */
import type { Config } from '../../../src/config/model.ts'
import type { Finding } from '../finding.ts'
import { count } from '../text.ts'
import { askJson, unanswered } from './ask.ts'

export async function checkTokenIssuers({ fixed }: Config): Promise<readonly Finding[]> {
  if (fixed.tokenIssuers.length === 0) return []
  const { inspectTokenIssuers } = await import('../../../src/inspection.ts')
  const findings = await inspectTokenIssuers(fixed.tokenIssuers)
  return findings.map(({ name, keys, problem }): Finding => {
    const check = `token issuer ${name}`
    if (problem === undefined && keys > 0) return { check, status: 'ok', message: `publishes ${count(keys, 'key')}` }
    const remedy = `see issuer and jwks_url of token_issuers.${name}, and that this machine may connect there`
    return { check, status: 'fail', message: problem ?? 'publishes no key', remedy }
  })
}

/** The metadata of whoever pushes events (SSF 1.0 §7): without its keys no event counts. */
export async function checkSharedSignals({ fixed }: Config): Promise<readonly Finding[]> {
  const [idp] = fixed.idps
  if (!fixed.sharedSignals) return []
  const { issuer } = fixed.sharedSignals
  const { origin, pathname } = new URL(issuer)
  const url = `${origin}/.well-known/ssf-configuration${pathname === '/' ? '' : pathname}`
  const answer = await askJson(url, idp.timeout, idp.outbound ?? {})
  const check = `shared signals of ${issuer}`
  if ('problem' in answer) return [unanswered(check, answer, 'shared_signals.issuer')]
  const { issuer: named, jwks_uri: keys } = answer.body
  if (typeof named !== 'string' || named.replace(/\/$/, '') !== issuer || typeof keys !== 'string') {
    const message = `${url} answered ${answer.status} and no metadata of this issuer`
    return [{ check, status: 'fail', message, remedy: 'see shared_signals.issuer' }]
  }
  return [{ check, status: 'ok', message: 'tells its keys', remedy: 'make a push stream to the endpoint above' }]
}

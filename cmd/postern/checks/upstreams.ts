import type { Config } from '../../../src/config/model.ts'
import type { Finding } from '../finding.ts'

/** Of one that is down for now, and of one behind another network than this machine's. */
const UPSTREAM_TIMEOUT_MS = 5000

/** Nothing is asked of them. A certificate that is refused will not do later, either; one that is not there may only be out of reach from here. */
export async function checkUpstreams({ fixed, live }: Config): Promise<readonly Finding[]> {
  if (fixed.services === 'authenticate') return []
  // Here and not above: what it brings with it is for those who ask.
  const { inspectUpstreams } = await import('../../../src/inspection.ts')
  const timeout = Math.min(live.upstreamConnectTimeout, UPSTREAM_TIMEOUT_MS)
  const findings = await inspectUpstreams(live, timeout, fixed.authorities)
  return findings.map(({ upstream, definedAt, certificate, problem }) => {
    const check = `upstream ${upstream}`
    if (problem === undefined) return { check, status: 'ok', message: 'takes connections' }
    return { check, status: certificate ? 'fail' : 'note', message: `${problem} (${definedAt})` }
  })
}

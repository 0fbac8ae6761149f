/** What only the others can say: the identity provider, Okta, the store, the upstreams. */
import { messageOf } from '../../../src/errors.ts'
import { describeDuration } from '../../../src/lib/duration.ts'
import type { Clock, Span, Unsubscribe } from '../../../src/types.ts'
import type { Config } from '../../../src/config/model.ts'
import { type Finding, remedyOf } from '../finding.ts'
import { checkAcme } from './acme.ts'
import { checkSharedSignals, checkTokenIssuers } from './issuers.ts'
import { checkApplication, checkOkta } from './okta.ts'
import { checkProvider } from './provider.ts'
import { checkStore } from './store.ts'
import { checkUpstreams, checkWebSockets } from './upstreams.ts'

/** Nobody waits longer for the whole of it. */
const DEADLINE: Span = 30_000

/** All at the same time. Reads only; secrets go to nobody but the provider whose they are. Never rejects. */
export async function checkOnline(
  config: Config,
  clock: Clock,
  { webSockets }: { readonly webSockets: boolean },
): Promise<readonly Finding[]> {
  const { idps } = config.fixed
  // Providers of one issuer share their directory.
  const orgs = idps.filter(({ issuer }, i) => idps.findIndex((other) => other.issuer === issuer) === i)
  const found = await Promise.all([
    ...idps.map((idp) => inTime(`identity provider ${idp.issuer}`, clock, checkProvider(config, idp, clock))),
    inTime('shared signals', clock, checkSharedSignals(config)),
    inTime('token issuers', clock, checkTokenIssuers(config)),
    ...idps.flatMap((idp) =>
      idp.directory.kind === 'okta'
        ? [inTime(`application of client ${idp.clientId}`, clock, checkApplication(config, idp, clock))]
        : [],
    ),
    ...orgs.flatMap((idp) =>
      idp.directory.kind === 'okta'
        ? [inTime(`Okta at ${idp.directory.url.origin}`, clock, checkOkta(config, idp, idp.directory, clock))]
        : [],
    ),
    inTime('store', clock, checkStore(config, clock)),
    inTime('certificate authority', clock, checkAcme(config)),
    inTime('upstreams', clock, checkUpstreams(config, clock)),
    ...(webSockets ? [inTime('WebSockets', clock, checkWebSockets(config, clock))] : []),
  ])
  return found.flat()
}

async function inTime(check: string, clock: Clock, work: Promise<readonly Finding[]>): Promise<readonly Finding[]> {
  let stop: Unsubscribe = () => {}
  const late = new Promise<readonly Finding[]>((resolve) => {
    const message = `no answer within ${describeDuration(DEADLINE)}`
    const remedy = 'see that this machine may connect there: something swallows what is sent'
    stop = clock.after(DEADLINE, () => resolve([{ check, status: 'fail', message, remedy }]))
  })
  try {
    return await Promise.race([work, late])
  } catch (error) {
    return [{ check, status: 'fail', message: messageOf(error), remedy: remedyOf(error) }]
  } finally {
    stop()
  }
}

/** The certificates that a configuration names: those that we show, and those that we believe. */
import { systemAuthorities } from '../../../src/lib/authorities.ts'
import { describeDuration } from '../../../src/lib/duration.ts'
import { elapsed } from '../../../src/lib/time.ts'
import {
  type CertificateProblem,
  certificatesIn,
  crlEnd,
  endOf,
  judgeChain,
  judgeDates,
  judgeEnd,
  nameOf,
} from '../../../src/lib/x509.ts'
import { createCertificateTable } from '../../../src/routing/certificates.ts'
import type { Config } from '../../../src/config/model.ts'
import type { WallTime } from '../../../src/types.ts'
import type { Finding } from '../finding.ts'

/** Asks nobody. */
export function checkCertificates(config: Config, now: WallTime): readonly Finding[] {
  const { certificate, certificates } = config.live
  return [
    ...(certificate ? checkShown('certificate', certificate.chain, config, now) : []),
    ...certificates.flatMap(({ chain }, i) => checkShown(`certificates[${i}]`, chain, config, now)),
    ...checkHosts(config),
    ...checkClientAuthorities(config, now),
    ...checkUpstreamTls(config, now),
    ...checkBundle('certificate_authority', config.fixed.authorities, now),
  ]
}

/** To browsers. */
function checkShown(key: string, pem: string, { fixed }: Config, now: WallTime): readonly Finding[] {
  const chain = certificatesIn(pem)
  const own = certificatesIn(fixed.authorities ?? '').map(String)
  return judged(
    `${key} (${chain[0] ? nameOf(chain[0]) : ''})`,
    judgeChain(chain, now, [...systemAuthorities(), ...own]),
    () => {
      const [end] = chain.map(endOf).toSorted((a, b) => elapsed(a, b))
      return end === undefined ? '' : `good for ${describeDuration(elapsed(end, now))}`
    },
  )
}

/** Each problem a line; none: one line that says so. */
function judged(check: string, problems: readonly CertificateProblem[], good: () => string): readonly Finding[] {
  return problems.length > 0
    ? problems.map((problem) => ({ check, ...problem }))
    : [{ check, status: 'ok', message: good() }]
}

/** Has each https host a certificate with its name? Where certificates are ordered, each gets one. */
function checkHosts({ fixed, live }: Config): readonly Finding[] {
  if (!fixed.listen.tls || fixed.acme) return []
  const table = createCertificateTable(live)
  const own = fixed.authenticateServiceUrl
  const hosts = new Set([
    ...(own.protocol === 'https:' && fixed.services !== 'proxy' ? [own.hostname] : []),
    ...(fixed.services === 'authenticate' ? [] : live.routes)
      .filter(({ from }) => from.scheme === 'https')
      // Some host that the pattern fits.
      .map(({ from }) => from.host.replaceAll('*', 'x')),
  ])
  return [...hosts]
    .filter((host) => !table.find(host))
    .map((host) => ({
      check: `certificate for ${host}`,
      status: 'fail',
      message: 'no certificate has this name, so browsers refuse the connection',
      remedy: 'add one to certificates, or have one made with this name',
    }))
}

/** Whose client certificates count, and which are revoked. */
function checkClientAuthorities({ live: { downstreamMtls } }: Config, now: WallTime): readonly Finding[] {
  if (!downstreamMtls) return []
  const lists = downstreamMtls.crls.flatMap((pem, i) => {
    const end = crlEnd(pem)
    const problem = end && judgeEnd(end, now)
    return problem ? [{ check: `downstream_mtls.crl, list ${i + 1}`, ...problem }] : []
  })
  return [...checkBundle('downstream_mtls.ca', downstreamMtls.ca, now), ...lists]
}

/** A bundle is told of when something in it is wrong. */
function checkBundle(key: string, pem: string | undefined, now: WallTime): readonly Finding[] {
  return certificatesIn(pem ?? '').flatMap((each) => {
    const problem = judgeDates(each, now)
    return problem ? [{ check: `${key} (${nameOf(each)})`, ...problem }] : []
  })
}

/** Routes share bundles: each is told of once. */
function checkUpstreamTls({ live: { routes } }: Config, now: WallTime): readonly Finding[] {
  const seen = new Set<string>()
  return routes.flatMap(({ action, definedAt }) => {
    if (action.kind !== 'forward') return []
    const { ca, client } = action.tls
    return [['tls_custom_ca', ca] as const, ['tls_client_cert', client?.chain] as const].flatMap(([key, pem]) => {
      if (pem === undefined || seen.has(pem)) return []
      seen.add(pem)
      return checkBundle(`${key}, ${definedAt}`, pem, now)
    })
  })
}

/** How what serves requests is doing: values for the metrics, components for the probes. */
import { X509Certificate } from 'node:crypto'
import type { CertificateState } from '../certificates/model.ts'
import type { Fixed, Live } from '../config/model.ts'
import type { Directory, DirectoryHealth } from '../directory/model.ts'
import type { StreamRegistry } from '../http/exchange.ts'
import type { UpstreamState } from '../http/upstream-state.ts'
import { elapsed, epochMillis, NEVER } from '../lib/time.ts'
import { endOf, judgeDates, nameOf } from '../lib/x509.ts'
import type { Clock, IdentityProvider, Store, Trouble, WallTime } from '../types.ts'
import { describeDirectory, type DirectoryState, exportDirectory } from './directory-metrics.ts'
import type { Component } from './health.ts'
import { checksumOf } from './reload.ts'
import type { Registry } from './registry.ts'
import { describeUpstreams, exportUpstreams } from './upstream-metrics.ts'

export interface StatusDeps {
  readonly fixed: Fixed
  readonly live: () => Live
  readonly metrics: Registry
  readonly directory: Pick<Directory, 'health'>
  readonly directoryState: () => DirectoryState
  /** Of hosts that need one by ACME. */
  readonly certificates: () => readonly CertificateState[]
  readonly upstreams: () => readonly UpstreamState[]
  readonly store: Pick<Store, 'trouble'>
  readonly streams: StreamRegistry
  readonly idps: readonly Pick<IdentityProvider, 'name' | 'trouble'>[]
  readonly clock: Clock
  /** Why audit lines cannot be written; undefined: they can. */
  readonly auditTrouble: () => string | undefined
}

/** Registers the values; the returned function describes the components. */
export function createStatus({
  fixed,
  live,
  metrics,
  directory,
  directoryState,
  certificates,
  upstreams,
  store,
  streams,
  idps,
  clock,
  auditTrouble,
}: StatusDeps): () => readonly Component[] {
  metrics.gauge(
    'config_checksum',
    'Number that changes with the configuration in use.',
    () => configChecksum(fixed, live()),
    'max',
  )
  metrics.gauge(
    'session_store_up',
    '1 while the store can be read, written and followed.',
    () => (store.trouble() ? 0 : 1),
    'min',
  )
  exportDirectory(metrics, directoryState)
  exportUpstreams(metrics, upstreams)
  metrics.gauge('config_routes', 'Routes of the configuration in use.', () => live().routes.length, 'max')
  metrics.gauge('streams_active', 'Open requests and tunnels to applications.', () => streams.size)
  metrics.gauge(
    'directory_last_success_timestamp_seconds',
    'Unix time of the last answer of the directory.',
    () => {
      const { lastSuccess } = directory.health()
      return lastSuccess === undefined ? undefined : epochMillis(lastSuccess) / 1000
    },
    'max',
  )
  metrics.gauges(
    'tls_certificate_not_after_timestamp_seconds',
    'Expiry of a certificate of the listener, as Unix time.',
    ['name'],
    () => {
      const own = ownCertificates(live()).map(([name, leaf]) => [[name], epochMillis(endOf(leaf)) / 1000] as const)
      const issued = certificates().flatMap(({ host, notAfter }) =>
        notAfter === undefined ? [] : [[[host], epochMillis(notAfter) / 1000] as const],
      )
      return [...own, ...issued]
    },
    'min',
  )
  metrics.gauge('directory_failing', '1 when the last call to the directory failed.', () => (failure() ? 1 : 0), 'max')

  /** Of the last call for a person's groups, or of the last look for changes; one that leads no longer has stopped looking. */
  function failure(): DirectoryHealth['lastError'] {
    const { lastError, lastSuccess } = directory.health()
    if (lastError && lastError.at >= (lastSuccess ?? NEVER)) return lastError
    const { feed } = directoryState()
    return feed?.leading ? feed.lastError : undefined
  }

  return () => {
    const { source } = directory.health()
    const failing = failure()
    const detail = `${source}: ${failing ? `${failing.code}; ` : ''}${describeDirectory(directoryState(), clock.now())}`
    return [
      failing
        ? { name: 'directory', status: 'degraded', since: failing.at, detail }
        : // Claims are read at sign-ins alone.
          {
            name: 'directory',
            status: 'ok',
            ...(fixed.idps.some(({ directory: { kind } }) => kind !== 'claims') && { detail }),
          },
      describeProviders(idps),
      ...(fixed.listen.tls ? [describeCertificates(ownCertificates(live()), certificates(), clock.now())] : []),
      describeUpstreams(upstreams()),
      describeStore(store.trouble()),
      ...describeAudit(auditTrouble()),
    ]
  }
}

/** The same number for the same configuration, in every process. */
export function configChecksum(fixed: Fixed, live: Live): number {
  return Number.parseInt(checksumOf(fixed, live), 16)
}

type Named = readonly [name: string, leaf: X509Certificate]

/** Those of the configuration. Of several with one name, as of two kinds of keys, the one that ends first. */
function ownCertificates({ certificate, certificates }: Pick<Live, 'certificate' | 'certificates'>): readonly Named[] {
  const more = certificates.map(({ chain }): Named => {
    const leaf = new X509Certificate(chain)
    return [nameOf(leaf).split(', ', 1)[0] ?? '', leaf]
  })
  const first: readonly Named[] = certificate ? [['listener', new X509Certificate(certificate.chain)]] : []
  return [...new Map([...first, ...more].toSorted(([, a], [, b]) => elapsed(endOf(b), endOf(a)))).entries()]
}

/** A host that waits for a certificate is no reason to take the others away, nor the listener that proves it. */
function describeCertificates(
  own: readonly Named[],
  certificates: readonly CertificateState[],
  now: WallTime,
): Component {
  const missing = certificates.filter(({ notAfter }) => notAfter === undefined || notAfter <= now)
  const failing = certificates.filter(({ problem }) => problem !== undefined)
  const list = (states: readonly CertificateState[]): string =>
    states
      .slice(0, 10)
      .map(({ host }) => host)
      .join(', ')
  const parts = [
    ...own.flatMap(([name, leaf]) => {
      const problem = judgeDates(leaf, now)
      return problem?.status === 'fail' ? [`${name}: ${problem.message}`] : []
    }),
    ...(missing.length > 0 ? [`no valid certificate for ${list(missing)}`] : []),
    ...(failing.length > 0 ? [`the last order failed for ${list(failing)}: ${failing[0]?.problem}`] : []),
  ]
  return parts.length === 0
    ? { name: 'certificates', status: 'ok' }
    : { name: 'certificates', status: 'degraded', detail: parts.join('; ') }
}

function describeAudit(trouble: string | undefined): readonly Component[] {
  return trouble === undefined
    ? []
    : [{ name: 'audit', status: 'degraded', detail: `lines cannot be written and are lost: ${trouble}` }]
}

/** Whoever has a session goes on without it; nobody new comes in. */
function describeProviders(idps: StatusDeps['idps']): Component {
  const away = idps.flatMap(({ name, trouble }) => {
    const { since, reason } = trouble() ?? {}
    return since === undefined ? [] : [{ since, reason: idps.length > 1 ? `${name}: ${reason}` : reason }]
  })
  const first = away.toSorted((a, b) => elapsed(a.since, b.since))[0]
  return first
    ? {
        name: 'identity-provider',
        status: 'degraded',
        since: first.since,
        detail: away.map(({ reason }) => reason).join('; '),
      }
    : { name: 'identity-provider', status: 'ok' }
}

function describeStore(trouble: Trouble | undefined): Component {
  return trouble
    ? { name: 'store', status: 'degraded', since: trouble.since, detail: trouble.reason }
    : { name: 'store', status: 'ok' }
}

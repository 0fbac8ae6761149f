/** Which certificate stands for a host: for handshakes, and for requests that come by a connection made for another host. */
import { X509Certificate } from 'node:crypto'
import type { DownstreamMtls } from '../config/model.ts'
import type { Certificate } from '../config/route-model.ts'
import type { BadRequest, ConnectionFacts, RequestFacts } from '../http/request.ts'

export interface HeldCertificates {
  /** Stands for every name that no other covers. */
  readonly certificate?: Certificate | undefined
  readonly certificates: readonly Certificate[]
}

export interface CertificateTable {
  /** The first one with the name among its subject alternative names, wildcards included. `host`: lower case. */
  find(host: string): Certificate | undefined
  /** May what came by a connection to `serverName` be for this host? */
  stand(serverName: string, host: string): boolean
}

/** @param acmeHosts hosts that have one each, of no concern to `find`. */
export function createCertificateTable(
  { certificate, certificates }: HeldCertificates,
  acmeHosts: readonly string[] = [],
): CertificateTable {
  const known = [...(certificate ? [certificate] : []), ...certificates].map((pair) => ({
    pair,
    leaf: new X509Certificate(pair.chain),
  }))
  const ordered = new Set(acmeHosts)
  const find = (host: string): Certificate | undefined =>
    known.find(({ leaf }) => leaf.checkHost(host, { partialWildcards: false }) !== undefined)?.pair
  /** Hosts of one certificate have one; what has none is shown the operator's first. */
  const shownTo = (host: string): unknown => find(host) ?? (ordered.has(host) ? host : known[0]?.pair)
  return { find, stand: (serverName, host) => serverName === host || shownTo(serverName) === shownTo(host) }
}

/**
 * RFC 9110 §15.5.20: a client may use a connection for every host that its certificate names, and no other; and only as
 * long as clients are asked for certificates as they were when it began. A trusted hop, which names its connection as it
 * likes, and a client that named no host have claimed nothing.
 */
export function misdirected(
  facts: RequestFacts,
  connection: ConnectionFacts | undefined,
  certificates: CertificateTable,
  downstreamMtls: Pick<DownstreamMtls, 'version'> | undefined,
): BadRequest | undefined {
  if (!connection) return undefined
  const { serverName } = connection
  const isOld = connection.downstreamMtls !== downstreamMtls?.version
  const isForeign = serverName !== undefined && !facts.hop && !certificates.stand(serverName, facts.host)
  if (!isOld && !isForeign) return undefined
  const { id, method, host, path, clientIp, wants } = facts
  return {
    kind: 'bad-request',
    id,
    status: 421,
    detail: isOld
      ? 'downstream_mtls has changed since the connection was made'
      : 'the connection was made for a host with another certificate',
    clientIp,
    asked: { method, host, path },
    wants: wants === 'html' ? 'html' : 'json',
  }
}

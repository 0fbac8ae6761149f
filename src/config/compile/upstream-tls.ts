import type { Upstream, UpstreamTls } from '../route-model.ts'
import type { Path, Report } from '../issues.ts'
import type { RouteInput } from '../schema/route.ts'
import { compileAuthorities, compileCertificate } from './secrets.ts'

/** How the upstreams of a route are verified, and what proves to them who we are. */
export function compileUpstreamTls(
  input: RouteInput,
  upstreams: readonly Upstream[],
  path: Path,
  report: Report,
): UpstreamTls {
  const { tls_custom_ca: ca, tls_client_cert: cert, tls_client_key: key, upstream_codec_type: codec } = input
  const at = (name: keyof RouteInput): Path => [...path, name]
  if (input.tls_skip_verify) {
    report.warning(
      at('tls_skip_verify'),
      'anybody between Postern and the upstream can read and change what passes; tls_custom_ca is the safe way',
    )
  }
  if ((cert === undefined) !== (key === undefined)) {
    report.error(
      at(cert === undefined ? 'tls_client_key' : 'tls_client_cert'),
      'expected tls_client_cert and tls_client_key (or their _file forms) together',
    )
  }
  if (codec !== 'auto' && upstreams.some(({ origin }) => !origin.startsWith('https'))) {
    report.error(
      at('upstream_codec_type'),
      'it is for https:// upstreams: http:// is HTTP/1.1, and h2c:// is HTTP/2 without TLS',
    )
  }
  const authorities = ca === undefined ? undefined : compileAuthorities(ca, at('tls_custom_ca'), report)
  const client =
    cert === undefined || key === undefined
      ? undefined
      : compileCertificate(
          { text: cert, path: at('tls_client_cert') },
          { text: key, path: at('tls_client_key') },
          report,
        )
  const serverName = input.tls_upstream_server_name ?? input.tls_server_name
  return {
    skipVerify: input.tls_skip_verify,
    ...(authorities !== undefined && { ca: authorities }),
    ...(serverName !== undefined && { serverName }),
    ...(client && { client }),
    ...(codec !== 'auto' && { only: codec }),
  }
}

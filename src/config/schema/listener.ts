import { certificatePairs, flag, integer, orFile, restart, text, texts, url } from './fields.ts'
import { downstreamMtlsSchema } from './downstream-mtls.ts'

/** Where clients connect, over which TLS, and who may stand in front. */
export const listenerKeys = {
  ...restart({
    address: text.optional().describe('`host:port` or `:port`. Default: `:8443` with a certificate, else `:8080`.'),
    insecure_server: flag
      .default(false)
      .describe('Serve plain HTTP although the external URLs are https, because a proxy in front terminates TLS.'),
    http_redirect_addr: text
      .optional()
      .describe(
        'Address for plain HTTP, `:80`: hosts of routes and of the sign-in service are redirected to https, and ACME challenges answered. Default: `:80` with `autocert`, else none.',
      ),
  }),
  ...orFile('certificate', 'PEM certificate chain (or base64 of it).'),
  ...orFile('certificate_key', 'PEM private key of the certificate (or base64 of it).'),
  certificates: certificatePairs.default([]).meta({
    description:
      'More certificates, `{cert, key}` of PEM, base64 of it, or a path: the first whose names cover the server name (SNI) is shown, otherwise `certificate`, or the first of these.',
    writeOnly: true,
  }),
  downstream_mtls: downstreamMtlsSchema
    .optional()
    .describe('Client certificates (mutual TLS). Default: nobody is asked for one.'),
  ...restart({
    autocert: flag
      .default(false)
      .describe(
        "Order and renew certificates by ACME (HTTP-01) for https hosts that `certificate` does not cover; you agree to the authority's terms. They are kept in the store.",
      ),
    autocert_ca: url.optional().describe("Directory URL of the ACME server. Default: Let's Encrypt."),
    autocert_use_staging: flag
      .default(false)
      .describe("Let's Encrypt's staging server: for trials, because no browser trusts it."),
    autocert_email: text.optional().describe('Contact of the ACME account.'),
    autocert_eab_key_id: text.optional().describe('Key id of an external account binding, from the authority.'),
    ...orFile('autocert_eab_mac_key', 'MAC key of that external account binding, base64url.'),
    ...orFile('autocert_trusted_ca', 'PEM bundle (or base64 of it) of more authorities for the ACME server itself.'),
    use_proxy_protocol: flag
      .default(false)
      .describe(
        'Every connection begins with a PROXY header, version 1 or 2, of a balancer that `trusted_proxies` names, and names the client. Connections of others, or without the header, are closed; `http_redirect_addr` and the other addresses take none. `false`: the header is refused.',
      ),
  }),
  max_connections_per_client: integer(0, 1_000_000)
    .default(0)
    .describe(
      'Connections of one client address (of IPv6: of its /64 network) at a time, to each process, `http_redirect_addr` included; those beyond are closed before TLS. With `workers` each counts for itself, so that a client may have this number at every one of them. With `use_proxy_protocol` the address is what the header says; peers that `trusted_proxies` names may have any number. 0: no limit.',
    ),
  trusted_proxies: texts
    .default([])
    .describe(
      'Proxies in front whose X-Forwarded-*, X-Request-Id and trace headers are trusted: addresses or CIDR. When such a proxy sends no valid client address, rules on `source_ip` deny.',
    ),
  xff_num_trusted_hops: integer(0, 32)
    .default(0)
    .describe(
      'Number of X-Forwarded-For entries that trusted proxies add. Without `trusted_proxies` every client counts as one of them, as in Pomerium.',
    ),
}

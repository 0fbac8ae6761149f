import { Secret } from '../../lib/secret.ts'
import type { Outbound } from '../model.ts'
import type { Report } from '../issues.ts'
import type { GlobalInput } from '../schema.ts'
import { compileAuthorities } from './secrets.ts'
import { isLoopback } from './urls.ts'

/** How the identity provider and Okta are reached. */
export function compileOutbound(globals: GlobalInput, report: Report): Outbound {
  const { certificate_authority: authority, https_proxy: proxy, no_proxy: except } = globals
  const ca = authority === undefined ? undefined : compileAuthorities(authority, ['certificate_authority'], report)
  const url = proxy === undefined ? undefined : compileProxy(proxy, report)
  return {
    ...(ca !== undefined && { ca }),
    ...(url && { proxy: { url, except: ['localhost', '127.0.0.1', '[::1]', ...except] } }),
  }
}

/** Never quotes the address, which may hold a password. */
function compileProxy(text: string, report: Report): Secret | undefined {
  // As curl reads it.
  const address = text.includes('://') ? text : `http://${text}`
  const url = URL.canParse(address) ? new URL(address) : undefined
  const isPlain = url && /^https?:$/.test(url.protocol) && url.hostname !== '' && url.pathname === '/' && !url.search
  if (!isPlain) {
    report.error(
      ['https_proxy'],
      'expected http://host:port of a proxy that takes CONNECT, perhaps with user:password@',
    )
    return undefined
  }
  if (url.password !== '' && url.protocol === 'http:' && !isLoopback(url.hostname)) {
    report.warning(['https_proxy'], 'the password of the proxy crosses the network in the clear')
  }
  return new Secret(url.href)
}

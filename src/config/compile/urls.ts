import { isIPv4 } from 'node:net'
import { parseHost } from '../../routing/host.ts'
import type { Address } from '../model.ts'
import type { Path, Report } from '../issues.ts'

/** Names that cannot leave this machine: `localhost`, `*.localhost`, 127.0.0.0/8, ::1. */
export function isLoopback(host: string): boolean {
  return (
    host === 'localhost' || host.endsWith('.localhost') || host === '[::1]' || (isIPv4(host) && host.startsWith('127.'))
  )
}

/** Whether `http` may leave this machine, and what to write so that it may. */
export interface HttpRule {
  readonly allowed: boolean
  readonly remedy: string
}

export const ANY_SCHEME: HttpRule = { allowed: true, remedy: '' }
/** Browsers speak https with the hop in front. */
export const behindHop = (insecureServer: boolean): HttpRule => ({
  allowed: insecureServer,
  remedy: '`insecure_server: true` behind a hop that ends TLS',
})
/** That hop has no part in the way to the provider. */
export const onPrivateNetwork = (allowHttp: boolean, key: string): HttpRule => ({
  allowed: allowHttp,
  remedy: `\`${key}: true\` on a private network`,
})

/** Reports and answers false for `http` where passwords, cookies or codes would cross a network in the clear. */
export function checkScheme(scheme: string, host: string, http: HttpRule, path: Path, report: Report): boolean {
  if (scheme === 'https' || http.allowed || isLoopback(host)) return true
  report.error(
    path,
    `http is for loopback names only (localhost, *.localhost, 127.0.0.0/8, ::1); use https, or ${http.remedy}`,
  )
  return false
}

/** ` (did you mean "https://app.corp.example"?)` for an address without a scheme; what to say of a variable. */
export function schemeHint(text: string, scheme: 'http' | 'https'): string {
  if (/\$[\w{(]|\{\{/.test(text)) return '; Postern does not expand variables'
  const guess = `${scheme}://${text}`
  return text.includes('://') || !URL.canParse(guess) ? '' : ` (did you mean "${guess}"?)`
}

/** An absolute http or https URL without credentials and fragment; anything else is reported. */
export function parseUrl(text: string, http: HttpRule, path: Path, report: Report): URL | undefined {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || !/^https?:\/\//i.test(text)) {
    report.error(
      path,
      `expected a URL that begins with https://, found ${JSON.stringify(text)}${schemeHint(text, 'https')}`,
    )
    return undefined
  }
  if (url.username || url.password || url.hash || /\s/.test(text)) {
    report.error(path, 'expected a URL without user name, password, fragment and spaces')
    return undefined
  }
  if (url.hostname.includes('*') || !parseHost(url.host)) {
    report.error(path, `expected a URL with a host name, found ${JSON.stringify(text)}`)
    return undefined
  }
  return checkScheme(url.protocol.slice(0, -1), url.hostname, http, path, report) ? url : undefined
}

/** The same, and scheme, host and port only. */
export function parseOrigin(text: string, http: HttpRule, path: Path, report: Report): URL | undefined {
  const url = parseUrl(text, http, path, report)
  if (!url || (url.pathname === '/' && !url.search)) return url
  report.error(path, `expected scheme, host and port only, as in ${url.origin}`)
  return undefined
}

/** `host:port` or `:port`, which is every address of the machine; port 0 lets the system choose. */
export function parseAddress(text: string, path: Path, report: Report): Address | undefined {
  const [, bracketed, name = '', digits] = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]*)):(\d{1,5})$/.exec(text) ?? []
  if (digits !== undefined && Number(digits) <= 65_535) return { host: bracketed ?? name, port: Number(digits) }
  report.error(path, `expected host:port or :port, found ${JSON.stringify(text)}`)
  return undefined
}

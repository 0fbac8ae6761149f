import { type IncomingHttpHeaders, request as plain, type RequestOptions } from 'node:http'
import { request as secure } from 'node:https'

export interface Answer {
  readonly url: URL
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface Ask {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

export interface Browser {
  /** One request, as a navigation unless `headers` say otherwise; redirects are not followed. */
  ask(url: string | URL, ask?: Ask): Promise<Answer>
  /** Follows redirects until something else comes. `stop`: also ends there, before asking. */
  go(url: string | URL, stop?: (url: URL) => boolean): Promise<Answer>
  /** `name=value` cookies for a host. */
  readonly cookies: ReadonlyMap<string, Map<string, string>>
}

const NAVIGATION = { accept: 'text/html', 'sec-fetch-mode': 'navigate' }

/**
 * As much of a browser as a sign-in needs: cookies by host, redirects, every name on loopback; `portOf` for addresses
 * without a port, `ca` for https; without it https is what a proxy in front ends. `agentOf`: keeps connections.
 */
export function createBrowser(
  portOf: (host: string) => number = () => 80,
  ca?: string,
  agentOf: (origin: string) => RequestOptions['agent'] = () => false,
): Browser {
  const cookies = new Map<string, Map<string, string>>()

  function jar(host: string): Map<string, string> {
    let held = cookies.get(host)
    if (!held) cookies.set(host, (held = new Map()))
    return held
  }

  function keep(host: string, lines: readonly string[]): void {
    for (const line of lines) {
      const [pair = '', ...attributes] = line.split(/; */)
      const name = pair.slice(0, pair.indexOf('='))
      if (attributes.some((one) => /^(max-age=0$|expires=thu, 01 jan 1970)/i.test(one))) jar(host).delete(name)
      else jar(host).set(name, pair.slice(name.length + 1))
    }
  }

  function ask(target: string | URL, { method = 'GET', headers = NAVIGATION, body }: Ask = {}): Promise<Answer> {
    const url = new URL(target)
    const cookie = [...jar(url.hostname)].map(([name, value]) => `${name}=${value}`).join('; ')
    return new Promise((resolve, reject) => {
      const asked = (url.protocol === 'https:' && ca !== undefined ? secure : plain)(
        {
          ca,
          servername: url.hostname,
          // A connection of its own, unless said otherwise: a kept one may just be closing, for the clock was moved past its
          // idle limit.
          agent: agentOf(url.origin),
          host: '127.0.0.1',
          port: url.port || portOf(url.hostname),
          method,
          path: url.pathname + url.search,
          headers: {
            host: url.host,
            ...(cookie && { cookie }),
            ...headers,
            ...(body !== undefined && { 'content-length': Buffer.byteLength(body) }),
          },
        },
        (response) => {
          keep(url.hostname, response.headers['set-cookie'] ?? [])
          const chunks: Buffer[] = []
          response.on('data', (chunk: Buffer) => chunks.push(chunk))
          response.on('error', reject)
          response.on('end', () =>
            resolve({
              url,
              status: response.statusCode ?? 0,
              headers: response.headers,
              body: Buffer.concat(chunks).toString('utf8'),
            }),
          )
        },
      )
      asked.on('error', (error) => {
        // The server ended an idle connection while the request was on its way (RFC 9112 §9.3.1): browsers ask again.
        if (asked.reusedSocket && method === 'GET') resolve(ask(target, { method, headers }))
        else reject(error)
      })
      asked.end(body)
    })
  }

  return {
    cookies,
    ask,
    async go(target, stop = () => false) {
      let url = new URL(target)
      for (let hop = 0; hop < 20; hop++) {
        const answer = await ask(url)
        const { location } = answer.headers
        if (![301, 302, 303, 307, 308].includes(answer.status) || location === undefined) return answer
        url = new URL(location, url)
        if (stop(url)) return { ...answer, url }
      }
      throw new Error(`more than 20 redirects, last to ${url.href}`)
    },
  }
}

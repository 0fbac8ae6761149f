/** Cookies of one browser, by origin host (ports share cookies, RFC 6265 §8.5) and path. */
export interface CookieJar {
  header(url: URL): string
  store(url: URL, setCookie: readonly string[]): void
  clear(): void
}

export function createCookieJar(): CookieJar {
  const cookies = new Map<string, { name: string; value: string; host: string; path: string }>()
  return {
    header: (url) =>
      [...cookies.values()]
        .filter((cookie) => cookie.host === url.hostname && within(url.pathname, cookie.path))
        .map((cookie) => `${cookie.name}=${cookie.value}`)
        .join('; '),
    store(url, setCookie) {
      for (const line of setCookie) {
        const [pair = '', ...attributes] = line.split(';').map((part) => part.trim())
        const name = pair.slice(0, pair.indexOf('='))
        const value = pair.slice(pair.indexOf('=') + 1)
        const attribute = (key: string): string | undefined =>
          attributes.find((text) => text.toLowerCase().startsWith(`${key}=`))?.slice(key.length + 1)
        const path = attribute('path') ?? (url.pathname.replace(/\/[^/]*$/, '') || '/')
        const key = `${url.hostname} ${path} ${name}`
        const gone = attribute('max-age') === '0' || Date.parse(attribute('expires') ?? '') <= Date.now()
        if (gone) cookies.delete(key)
        else cookies.set(key, { name, value, host: url.hostname, path })
      }
    },
    clear: () => cookies.clear(),
  }
}

function within(path: string, cookiePath: string): boolean {
  return path === cookiePath || path.startsWith(cookiePath.endsWith('/') ? cookiePath : `${cookiePath}/`)
}

/** One request of a browser that follows nothing by itself. Set-Cookie goes into the jar. */
export async function browse(url: URL, jar: CookieJar, form?: Readonly<Record<string, string>>): Promise<Response> {
  const cookie = jar.header(url)
  const response = await fetch(url, {
    redirect: 'manual',
    headers: { accept: 'text/html', ...(cookie !== '' && { cookie }) },
    ...(form && { method: 'POST', body: new URLSearchParams(form) }),
  })
  jar.store(url, response.headers.getSetCookie())
  return response
}

/**
 * Signs `login` in at the emulator without a browser: follows the redirects of `authorizeUrl` by hand and, where the
 * sign-in page shows, posts `identifier` (and `password`) to the page's own address. Returns the first redirect that
 * leaves the emulator: the client's callback, with `code` and `state`, or with `error`.
 * Throws when a page stays at the emulator (a refused sign-in, an error page); the message holds the page's text.
 */
export async function signInWith(
  emulatorUrl: string,
  authorizeUrl: string | URL,
  login: string,
  jar: CookieJar = createCookieJar(),
  password = '',
): Promise<URL> {
  const { origin } = new URL(emulatorUrl)
  let url = new URL(authorizeUrl)
  let response = await browse(url, jar)
  for (let hop = 0; hop < 10; hop++) {
    const location = response.headers.get('location')
    if (location !== null) {
      await response.body?.cancel()
      url = new URL(location, url)
      if (url.origin !== origin) return url
      response = await browse(url, jar)
    } else if (response.status === 200 && url.pathname.startsWith('/signin/')) {
      await response.body?.cancel()
      response = await browse(url, jar, { identifier: login, ...(password !== '' && { password }) })
    } else {
      throw new Error(`sign-in ended at ${url.pathname} with ${response.status}: ${pageText(await response.text())}`)
    }
  }
  throw new Error('sign-in: too many redirects')
}

/** The visible text of a page. */
export function pageText(html: string): string {
  return html
    .replace(/<style>.*?<\/style>/s, '')
    .replace(/<[^>]+>/g, ' ')
    .replace(/&#39;|&#x27;/g, "'")
    .replace(/&quot;/g, '"')
    .replace(/\s+/g, ' ')
    .trim()
}

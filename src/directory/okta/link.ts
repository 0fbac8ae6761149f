import { AppError } from '../../errors.ts'

/**
 * Path and query of the `next` page from `Link` headers (RFC 8288; Okta sends several lines, proxies join them).
 * undefined: this was the last page. A next page anywhere but on `origin` is never followed: the token would go with it.
 */
export function nextPage(header: string | readonly string[] | undefined, origin: string): string | undefined {
  const text = typeof header === 'string' ? header : (header ?? []).join(', ')
  let next: string | undefined
  for (const [, target = '', parameters = ''] of text.matchAll(/<([^<>]*)>([^<]*)/g)) {
    if (!isNext(parameters)) continue
    const page = toPage(target, origin)
    if (next !== undefined && next !== page) {
      throw new AppError('ERR_DIRECTORY_BAD_ANSWER', 'okta: the answer names two different next pages')
    }
    next = page
  }
  return next
}

function isNext(parameters: string): boolean {
  const relation = /;\s*rel\s*=\s*(?:"([^"]*)"|([^\s;,"]+))/i.exec(parameters)
  return (relation?.[1] ?? relation?.[2] ?? '').toLowerCase().split(/\s+/).includes('next')
}

function toPage(target: string, origin: string): string {
  const url = URL.canParse(target, origin) ? new URL(target, origin) : undefined
  if (url?.origin !== origin || url.username || url.password || !url.pathname.startsWith('/api/v1/')) {
    throw new AppError(
      'ERR_DIRECTORY_BAD_ANSWER',
      `okta: the next page must be on ${origin}, not on ${url?.origin ?? 'an address that cannot be read'}`,
    )
  }
  return url.pathname + url.search
}

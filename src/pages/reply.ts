import type { Json } from '../types.ts'
import type { Reply } from '../http/exchange.ts'
import { type PageHeaderOptions, pageHeaders } from './headers.ts'

type Header = readonly [name: string, value: string]

export const HTML: Header = ['content-type', 'text/html; charset=utf-8']

/** One of our pages. */
export function htmlReply(
  status: number,
  html: string,
  options: PageHeaderOptions & { readonly headers?: readonly Header[] } = {},
): Reply {
  return {
    status,
    headers: [HTML, ...pageHeaders(options), ...(options.headers ?? [])],
    body: html,
  }
}

/** `cacheControl`: of what is the same for everybody. */
export function jsonReply(
  status: number,
  value: Json,
  headers: readonly Header[] = [],
  cacheControl = 'no-store',
): Reply {
  return {
    status,
    headers: [
      ['content-type', 'application/json'],
      ['cache-control', cacheControl],
      ['x-content-type-options', 'nosniff'],
      ...headers,
    ],
    body: `${JSON.stringify(value)}\n`,
  }
}

/** Never cached, whatever the status: the next request is judged again. No `Referer` leads on from here. */
export function redirectReply(
  status: 301 | 302 | 303 | 307 | 308,
  location: URL | string,
  headers: readonly Header[] = [],
): Reply {
  return {
    status,
    headers: [
      ['location', String(location)],
      ['cache-control', 'no-store'],
      ['referrer-policy', 'no-referrer'],
      ...headers,
    ],
    body: '',
  }
}

export function textReply(status: number, text: string, headers: readonly Header[] = []): Reply {
  return {
    status,
    headers: [['content-type', 'text/plain; charset=utf-8'], ['x-content-type-options', 'nosniff'], ...headers],
    body: text,
  }
}

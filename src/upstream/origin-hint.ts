import { headerOf } from '../http/header.ts'
import type { RequestFacts } from '../http/request.ts'

/**
 * Why an application may have answered 403 to a WebSocket: JupyterLab, Streamlit and others compare the page's Origin with
 * the Host that they are sent. For the log; undefined: the two agree, or there is no Origin.
 * @param headers flat list of what was sent.
 */
export function originHint(
  { origin }: Pick<RequestFacts, 'origin'>,
  headers: readonly string[],
  upstream: string,
): string | undefined {
  const host = headerOf({ rawHeaders: headers }, 'host') ?? new URL(upstream).host
  if (origin === undefined || !URL.canParse(origin) || new URL(origin).host === host) return undefined
  return `the page is of ${origin} and the Host sent is ${host}; many applications refuse a WebSocket then, see preserve_host_header`
}

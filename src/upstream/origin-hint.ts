import type { RequestFacts } from '../http/request.ts'

/**
 * Why an application may have answered 403 to a WebSocket: JupyterLab, Streamlit and others compare the page's Origin with
 * the Host that they are sent. For the log; undefined: the two agree, or there is no Origin.
 * @param sent Host, when it was another than the upstream's own.
 */
export function originHint(
  { origin }: Pick<RequestFacts, 'origin'>,
  sent: string | undefined,
  upstream: string,
): string | undefined {
  const host = sent ?? new URL(upstream).host
  if (origin === undefined || !URL.canParse(origin) || new URL(origin).host === host) return undefined
  return `the page is of ${origin} and the Host sent is ${host}; many applications refuse a WebSocket then, see preserve_host_header`
}

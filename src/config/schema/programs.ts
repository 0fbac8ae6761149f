import { z } from 'zod'

const HOST = 'a host as browsers write it, `tool.corp.example` or `tool.corp.example:8443`'

/** `host` or `host:port`, for https; and `localhost`. Helm reads the pattern, too: RE2, without look-ahead. */
const listedHost = z
  .string({ error: HOST })
  .regex(/^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[1-9]\d{0,4})?$/, { error: HOST })

export const programHosts = z.array(listedHost, { error: 'a list of hosts' })

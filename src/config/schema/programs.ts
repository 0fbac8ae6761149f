import { z } from 'zod'

const HOST = 'a host as browsers write it, `tool.corp.example` or `tool.corp.example:8443`'

/** `host` or `host:port`, for https, whose default port browsers leave out; and `localhost`. */
const listedHost = z
  .string({ error: HOST })
  .regex(/^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[1-9]\d{0,4})?$/, { error: HOST })
  // Not a look-ahead in the pattern: Helm reads it, too, and refuses what RE2 does.
  .refine((host) => !host.endsWith(':443'), { error: HOST })

export const programHosts = z.array(listedHost, { error: 'a list of hosts' })

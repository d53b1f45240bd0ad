@rem Notes that an agent's session began or ended: plandex-hook start or end, the host's JSON on stdin.
@plandex hook capture %*

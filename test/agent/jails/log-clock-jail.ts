/**
 * Python: fail2ban's own jail, filter, ban list, observer and database without its threads, on the clock of the log: a
 * round of the server before each line, then the line. `bans` are [time, id, bantime, ban count].
 */
export const logClockJail = `
import json, logging, sys
from fail2ban.server.database import Fail2BanDb
from fail2ban.server.jail import Jail
from fail2ban.server.mytime import MyTime
from fail2ban.server.observer import Observers, ObserverThread
from fail2ban.server.ticket import FailTicket
logging.disable(logging.CRITICAL)
class Direct(ObserverThread):
    def __init__(self):
        ObserverThread.__init__(self); self.waiting = []
    def add(self, *event): self.waiting.append(event)
    def add_timer(self, *event): pass
    def work(self):
        while self.waiting:
            name, *values = self.waiting.pop(0)
            getattr(self, name)(*values)
class LogClockJail:
    def __init__(self, name):
        self.observer = Observers.Main = Direct()
        self.jail = Jail(name, backend="polling", db=Fail2BanDb(":memory:"))
        self.jail.database.addJail(self.jail)
        self.jail.isAlive = lambda: True
        self.bans = []; self.clock = None; self.purged = None
        addBan = self.jail.database.addBan
        def noted(jail, ticket):
            addBan(jail, ticket)
            time = ticket.getBanTime(jail.actions.getBanTime())
            self.bans.append([ticket.getTime(), str(ticket.getID()), time, ticket.getBanCount()])
        self.jail.database.addBan = noted
    def set(self, option, value):
        found = self.jail.filter
        if option.startswith("bantime."): self.jail.setBanTimeExtra(option[len("bantime."):], value)
        elif option == "bantime": self.jail.actions.setBanTime(value)
        elif option == "findtime": found.setFindTime(value)
        elif option == "maxretry": found.setMaxRetry(value)
        elif option == "maxlines": found.setMaxLines(value)
        elif option == "usedns": found.setUseDns(value)
        elif option == "ignoreself": found.ignoreSelf = value
        elif option == "prefregex": found.prefRegex = value
        elif option == "datepattern": found.setDatePattern(value)
        elif option == "addfailregex": found.addFailRegex(value)
        elif option == "addignoreregex": found.addIgnoreRegex(value)
        elif option == "addignoreip": found.addIgnoreIP(value)
    def failure(self, ticket):
        jail = self.jail; at = ticket.getTime()
        if self.clock is None or at > self.clock:
            self.clock = at
            MyTime.setTime(at - 0.001)
            jail.filter.performSvc()
            jail.actions._Actions__checkUnBan(100000)
        MyTime.setTime(self.clock)
        if self.purged is None or self.clock >= self.purged:
            jail.database.purge(); self.purged = self.clock + 3600
        if jail.filter._inIgnoreIPList(ticket.getID(), ticket): return
        if jail.filter.failManager.addFailure(ticket) >= jail.filter.getMaxRetry(): jail.filter.performBan(ticket.getID())
        self.observer.add("failureFound", jail, ticket)
        self.observer.work()
        jail.actions._Actions__checkBan()
        self.observer.work()
    def line(self, text, now):
        # The year of a date that names none is that of today.
        MyTime.setTime(now)
        self.jail.filter.checkFindTime = False
        for _, ip, at, fail in self.jail.filter.processLine(text): self.failure(FailTicket(ip, at, data=fail))
`;

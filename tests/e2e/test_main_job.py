"""The main job as people do it: in the portal's pages and in JupyterLab, in Chinese, from the application to the cut."""

import csv
import re
from pathlib import Path

import pytest
from people import SECONDS, Desk, Person
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.e2e, pytest.mark.docker]

TITLE = "航班延误的承运人差异"
QUERY = "SELECT carrier, count(*) AS n, round(avg(arr_delay), 2) AS mean_arr_delay FROM flights GROUP BY carrier HAVING count(*) >= 10 ORDER BY n DESC"
ANALYSE = f"""import datasandbox as ds
table = ds.sql("{QUERY}")
table.to_csv("carriers.csv", index=False)
table.head()"""
PLOT = """import matplotlib.pyplot as plt
table.plot.bar(x="carrier", y="n", legend=False)
plt.title("各承运人航班数")
plt.show()"""
EXPORT = 'ds.export("carriers.csv", title="各承运人平均到达延误", context="论文表一；每组不少于 10 条记录")'
REASON = "举报经核实，数据用于约定以外的用途"


def test_from_the_application_to_the_cut_as_people_do_it(desk: Desk, tmp_path: Path) -> None:
    researcher = desk.person("researcher")
    project = _starts_a_project_and_applies(researcher)
    _assesses_and_offers(desk.person("steward"))
    _both_sign(desk.person("steward"), researcher, project)
    lab = _opens_the_sandbox(researcher, project)
    _works(researcher, lab)
    export = _exports(researcher, lab, project)
    _is_reviewed(desk, researcher, export)
    rows = _downloads(researcher, export, tmp_path)
    assert sum(int(row["n"]) for row in rows) == 336_776
    _looks_it_all_up(desk.person("auditor"), researcher)
    _revokes(desk.person("administrator"), "flights")
    _sees_the_cut(researcher, lab)
    _revokes(desk.person("administrator"), "randhie")  # with the other body's agreement alone a start would be allowed
    _may_not_start_again(researcher, project)
    _in_english_by_keyboard(researcher)
    _logs_out(researcher)
    assert not desk.complaints


def _starts_a_project_and_applies(researcher: Person) -> str:
    page = researcher.page
    researcher.shot("home")
    researcher.go("项目")
    page.get_by_label("名称").fill(TITLE)
    page.get_by_label("用途").fill("比较各承运人的准点情况，为枢纽机场时刻调整提供依据。")
    page.get_by_role("button", name="建立项目").click()
    expect(page.get_by_role("heading", name=TITLE)).to_be_visible()
    project = page.url.partition("?")[0]
    expect(page.get_by_role("button", name="打开沙箱")).to_be_disabled()
    researcher.shot("project-new")
    page.get_by_role("link", name="申请使用数据").click()
    page.get_by_label("用途").fill("按承运人比较到达延误。")
    page.get_by_label("应用场景").fill("结果写入研究报告，由交通主管部门使用。")
    page.get_by_label("使用期限（天）").fill("90")
    for dataset, access, columns in (
        ("flights", "挂载", ("carrier", "arr_delay", "dep_delay", "month")),
        ("randhie", "查询", ("zper", "year", "mdvis")),
    ):
        offer = page.get_by_role("group").filter(has=page.locator(f"input[name=dataset][value={dataset}]"))
        offer.locator("input[name=dataset]").check()
        offer.get_by_label(access, exact=True).check()
        offer.locator("summary").click()
        for column in columns:
            offer.get_by_label(column, exact=True).check()
    researcher.shot("application-form")
    page.get_by_role("button", name="保存草稿").click()
    page.get_by_role("button", name="保存并提交").click()  # the security measures are missing: the form says so and keeps the rest
    expect(page.locator(".field.refused")).to_contain_text("安全保障措施")
    expect(page.get_by_label("应用场景")).to_have_value("结果写入研究报告，由交通主管部门使用。")
    researcher.shot("application-refused")
    page.get_by_label("安全保障措施").fill("只有项目成员可以接触数据；只带走汇总结果。")
    page.get_by_role("button", name="保存并提交").click()
    expect(page.get_by_role("status")).to_contain_text("已提交")
    researcher.shot("application-submitted")
    return project


def _assesses_and_offers(steward: Person) -> None:
    page = steward.page
    for number in range(2):  # one owner body each
        steward.go("待办")
        if number == 0:
            steward.shot("inbox")
        page.get_by_role("row", name=re.compile(TITLE)).get_by_role("link", name="评估").last.click()
        for tick in page.get_by_label(re.compile("^符合：")).all():
            tick.check()
        for evidence in page.get_by_label(re.compile("^依据：")).all():
            evidence.fill("材料齐全，已核对")
        page.get_by_label("同意，发出协议").check()
        steward.shot("assess")
        page.get_by_role("button", name="提交评估意见").click()
        expect(page.get_by_role("status")).to_contain_text("评估意见已记录")


def _both_sign(steward: Person, researcher: Person, project: str) -> None:
    for person, side in ((steward, "数据开放主体"), (researcher, "数据使用主体")):
        page = person.page
        for number in range(2):
            person.go("待办")
            page.get_by_role("row", name=re.compile(TITLE)).get_by_role("link", name="签署").last.click()
            page.get_by_label("我已阅读协议全文").check()
            if number == 0:
                person.shot("sign")
            page.get_by_role("button", name=f"代表{side}签署").click()
            expect(page.get_by_role("status")).to_contain_text("已签署")
    researcher.page.goto(project)
    researcher.until(lambda page: page.get_by_text("就绪").count() == 2)
    researcher.shot("project-ready")


def _opens_the_sandbox(researcher: Person, project: str) -> Page:
    page = researcher.page
    page.goto(project)
    page.get_by_role("button", name="打开沙箱").click()
    expect(page.locator("ol.steps")).to_be_visible()
    researcher.shot("sandbox-starting")
    expect(page.get_by_role("link", name="打开 JupyterLab")).to_be_visible(timeout=60 * SECONDS)  # the page goes on by itself
    expect(page.get_by_text("queried_not_available")).to_be_visible()
    researcher.shot("sandbox-running")
    with page.expect_popup() as opened:
        page.get_by_role("link", name="打开 JupyterLab").click()
    lab = opened.value
    expect(lab.locator("#jp-main-dock-panel")).to_be_visible(timeout=60 * SECONDS)
    return lab


def _works(researcher: Person, lab: Page) -> None:
    lab.locator(".jp-LauncherCard[title*='Python 3']").first.click(timeout=60 * SECONDS)
    expect(lab.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-Cell.jp-mod-active .cm-content")).to_be_visible()
    # JupyterLab drops what is run before it has a kernel
    expect(lab.locator("#jp-main-statusbar")).to_contain_text("Python 3 | 空闲", timeout=60 * SECONDS)
    expect(lab.locator("#ds-line")).to_contain_text("flights 挂载 · randhie 查询（暂不可用） · 剩余 89 天")
    expect(lab.locator("#ds-meter")).to_contain_text("/ 5 MB")
    expect(lab.locator("#ds-meter [role=meter]")).to_have_count(2)
    _run(lab, 0, "1+1")
    expect(_output(lab, 0)).to_have_text("2", timeout=60 * SECONDS)
    _run(lab, 1, ANALYSE)
    expect(_output(lab, 1)).to_contain_text("UA", timeout=60 * SECONDS)
    _run(lab, 2, PLOT)
    expect(_cell(lab, 2).locator(".jp-OutputArea-output img")).to_be_visible(timeout=60 * SECONDS)
    expect(_cell(lab, 2)).not_to_contain_text("missing from font")
    researcher.shot("lab", lab, full=False)


def _exports(researcher: Person, lab: Page, project: str) -> str:
    _run(lab, 3, EXPORT)
    expect(_output(lab, 3)).to_contain_text("in_review", timeout=90 * SECONDS)
    researcher.shot("lab-export", lab, full=False)
    page = researcher.page
    page.goto(project)
    page.get_by_role("link", name="各承运人平均到达延误").click()
    expect(page.get_by_role("button", name="提交审核意见")).to_have_count(0)  # the author decides nothing
    expect(page.get_by_text("您不能审核")).to_be_visible()
    researcher.shot("export-in-review")
    return page.url


def _is_reviewed(desk: Desk, researcher: Person, export: str) -> None:
    for login in ("reviewer1", "reviewer2"):
        reviewer = desk.person(login)
        reviewer.shot("inbox")
        page = reviewer.page
        page.locator(f"a[href$='{export.rpartition('/')[2]}']").first.click()
        page.get_by_label("同意放行", exact=True).check()
        page.get_by_role("textbox", name=re.compile("^意见")).fill("汇总表，每组记录数充足")
        reviewer.shot("review")
        page.get_by_role("button", name="提交审核意见").click()
        expect(page.get_by_role("status")).to_contain_text("审核意见已记录")
    researcher.page.reload()
    expect(researcher.page.get_by_text("审核（2 / 2）")).to_be_visible()


def _downloads(researcher: Person, export: str, folder: Path) -> list[dict[str, str]]:
    page = researcher.page
    page.goto(export)
    page.get_by_role("button", name="放行").click()
    expect(page.get_by_role("status")).to_contain_text("已放行")
    researcher.shot("export-released")
    with page.expect_download() as coming:
        page.get_by_role("link", name="下载", exact=True).click()
    path = folder / coming.value.suggested_filename
    coming.value.save_as(path)
    assert path.name == "carriers.csv"
    assert path.read_bytes().startswith(b"carrier,n,mean_arr_delay\nUA,58665,")
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _looks_it_all_up(auditor: Person, researcher: Person) -> None:
    page = auditor.page
    auditor.go("协议")
    page.get_by_role("row", name=re.compile(f"{TITLE}.*flights")).get_by_role("link").first.click()
    page.get_by_role("link", name="查看全过程记录").click()
    expect(page.get_by_text("航班")).not_to_have_count(0)
    said = page.locator("tbody").inner_text()
    for text in ("application.submitted", "agreement.signed", "export.released", "export.downloaded", QUERY, "plt.title"):
        assert text in said, f"the auditor does not see {text!r}"
    auditor.shot("case", full=False)


def _revokes(administrator: Person, dataset: str) -> None:
    page = administrator.page
    administrator.go("协议")
    page.get_by_role("row", name=re.compile(f"{TITLE}.*{dataset}")).get_by_role("link").first.click()
    page.get_by_label("依据").first.select_option("第十一条：举报经核实")
    page.get_by_label("理由").first.fill(REASON)
    administrator.shot("revoke")
    page.get_by_role("button", name="取消协议并切断访问").click()
    expect(page.get_by_role("status")).to_contain_text("协议已取消")


def _sees_the_cut(researcher: Person, lab: Page) -> None:
    told = lab.get_by_role("alertdialog")
    expect(told).to_be_visible()
    researcher.shot("lab-cut", lab, full=False)
    expect(told).to_contain_text("协议已被取消")
    with lab.expect_popup() as opened:
        told.get_by_role("link", name="在门户查看原因").click()
    expect(opened.value.get_by_text("协议已被取消")).to_be_visible()
    researcher.shot("sandbox-cut", opened.value)
    opened.value.close()


def _may_not_start_again(researcher: Person, project: str) -> None:
    page = researcher.page
    page.goto(project)
    expect(page.get_by_role("button", name="打开沙箱")).to_be_disabled()
    expect(page.locator(".act", has_text="打开沙箱").locator(".reason")).to_contain_text("协议")
    researcher.shot("project-cut")


def _in_english_by_keyboard(researcher: Person) -> None:
    page = researcher.page
    page.get_by_role("link", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.get_by_role("button", name="Open the sandbox")).to_be_disabled()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    researcher.shot("project-english")
    page.get_by_role("link", name="中文").click()


def _logs_out(researcher: Person) -> None:
    page = researcher.page
    page.get_by_role("button", name="退出").click()
    page.goto(f"{researcher.desk.portal}/projects")
    expect(page.get_by_label("密码")).to_be_visible()
    researcher.shot("logged-out")


def _cell(lab: Page, number: int):
    return lab.locator(".jp-NotebookPanel:not(.lm-mod-hidden) .jp-CodeCell").nth(number)


def _output(lab: Page, number: int):
    return _cell(lab, number).locator(".jp-OutputArea-output").first


def _run(lab: Page, number: int, code: str) -> None:
    """Type into the cell and run it; the next one is made by that."""
    _cell(lab, number).locator(".cm-content").click()
    lab.keyboard.insert_text(code)
    lab.keyboard.press("Shift+Enter")

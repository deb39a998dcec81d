"""A report's words in Chinese."""

from __future__ import annotations

CHINESE = {
    "title": "对比：{rows} 个配置，{runs} 次运行",
    "unknown": "未知",
    "no_git": "不是 git 仓库",
    "fact.command": "命令：`{text}`",
    "fact.sweep": "扫描：{name}（MLflow 运行 {id}）",
    "fact.all": "运行：存储中的全部",
    "fact.where": "条件：`{where}`；另有 {left_out} 次运行不符合",
    "fact.data": "数据：{name}，摘要 {digest}",
    "fact.images": "测试图像：{count} 张{once}",
    "once_a_run": "，每次运行只读一次",
    "fact.skipped": "因无法读取而略去的图像：{count} 张（见 skipped_images.txt）",
    "fact.shared": "**与训练或验证图像文件完全相同的测试图像：{count} 张**；准确率因此偏高",
    "fact.weights": "权重：{name}，摘要 {digest}",
    "fact.seeds": "种子：{seeds}",
    "fact.device": "设备：{device}，{precision}，{threads} 线程",
    "fact.versions": "版本：{text}",
    "fact.commit": "git 提交：{text}",
    "fact.repeated": "{count} 次运行与后来的运行结果相同，只计后者",
    "parts": "这些运行在 {count} 组不同的图像上测试，不能放在一起排名：下面各成一部分。",
    "section.part": "在 {name} 上测试：{images} 张图像，数据摘要 {digest}",
    "section.findings": "结论",
    "section.ranking": "排名",
    "section.cost": "代价",
    "section.pairs": "最佳配置与其他配置",
    "section.unfinished": "未完成",
    "section.transfer": "迁移的作用",
    "section.constants": "所有运行相同的设置",
    "figure.curves": "各轮的准确率与损失",
    "figure.iteration": "每次迭代的损失",
    "figure.cost": "准确率与代价",
    "figure.classes": "各类别的准确率",
    "figure.confusion": "最佳配置混淆了什么",
    "figure.reliability": "置信度有多可信",
    "figure.parallel": "全部选择一览",
    "column.rank": "名次",
    "column.seeds": "种子数",
    "column.test/acc": "测试准确率 %",
    "column.std": "标准差",
    "column.interval": "95 % 区间",
    "column.interval_of": "区间针对",
    "interval.seeds": "种子",
    "interval.images": "测试图像",
    "interval.nothing": "–",
    "column.test/loss": "测试损失",
    "column.test/ece": "ECE %",
    "column.worst_class": "最差类别 %",
    "column.best/val_acc": "最佳验证准确率 %",
    "column.train/acc": "最终训练准确率 %",
    "column.gap": "训练 − 测试",
    "column.loss_spread": "损失波动",
    "column.profile/params": "参数",
    "column.profile/trainable_params": "可训练",
    "column.profile/macs": "乘加数",
    "column.profile/size_mb": "大小 MB",
    "column.profile/latency_ms": "延迟 ms",
    "column.profile/latency_p90_ms": "p90",
    "column.profile/latency_64_ms": "64 张延迟 ms",
    "column.profile/latency_64_p90_ms": "64 张 p90",
    "column.profile/peak_memory_mb": "峰值内存 MB",
    "column.time/train_s": "训练 s",
    "column.throughput/train_img_s": "图像/s",
    "column.device": "设备",
    "device": "{device}，线程：{threads}",
    "column.configuration": "配置",
    "column.difference": "落后最佳（百分点）",
    "column.test": "检验",
    "column.p": "p",
    "column.holm": "p（Holm）",
    "column.mcnemar": "p（McNemar）",
    "column.apart": "可区分",
    "column.run": "运行",
    "column.overrides": "指定的设置",
    "column.status": "状态",
    "column.error": "错误",
    "column.id": "编号",
    "column.passes": "超过普通 CNN",
    "column.below": "训练低于验证",
    "column.gain": "比随机权重高",
    "test.seeds": "Student，{seeds} 个种子",
    "test.images": "McNemar",
    "test.none": "无",
    "yes": "是",
    "no": "否",
    "legend.ranking": (
        "无法区分的配置名次相同：名次等于确实更好的配置数加一（95 %，对有共同种子或测试图像的 {pairs} 对做 Holm"
        " 校正）。每列最佳值为粗体；有多个种子的行给出均值 ± 标准差。"
    ),
    "legend.test/acc": "`测试准确率`：用{result}的权重，在{once}测试集上得到。",
    "once": "只读一次的",
    "result.best": "验证集上最佳一轮",
    "result.last": "最后一轮",
    "result.mixed": "最佳一轮或最后一轮（见 `protocol.result`）",
    "legend.blurred": (
        "{names}：在增强后的图像上测试（`protocol.augment_evaluation_of`），因此不是原图上的准确率。"
    ),
    "legend.stands_for": "`{leader}={value}` 同时意味着 {names}。",
    "legend.follow": "随 `{leader}` 各自改变的还有：{names}。",
    "legend.interval": (
        "`95 % 区间`：针对种子（Student），即大量训练的均值所在；只有一个种子时针对测试图像"
        "（Wilson），即这一个网络在所有此类图像上的准确率，不包含种子的运气。"
    ),
    "legend.test/ece": "`ECE`：期望校准误差，置信度与准确率之差的平均，15 个区间。",
    "legend.worst_class": "`最差类别`：准确率最低的类别的准确率。",
    "legend.train/acc": "`最终训练准确率`：最后一轮，在训练所用的图像上。",
    "legend.gap": "`训练 − 测试`：两者之差，百分点；大则过拟合，小于 0 说明训练图像更难。",
    "legend.loss_spread": "`损失波动`：最后一轮迭代损失的标准差；小则稳定。",
    "legend.steered": (
        "`protocol.validation` = `test` 的行让测试集参与了训练决策（教程就是这样做的）：其准确率不能"
        "用来估计新图像上的表现。"
    ),
    "legend.cost": (
        "◆ 标出准确率与该代价的帕累托前沿：没有其他配置既至少同样准确又至少同样便宜。`可训练`：第一轮"
        "训练的参数。`乘加数`：一张图像的乘加运算。`延迟`：一张图像和 64 张一批的中位数与第 90 百分位。"
        "时间均针对所列设备。"
    ),
    "legend.pairs": (
        "Student 配对检验（至少三个共同种子）问的是两种训练方案是否不同；McNemar 精确检验问的是同一种子"
        "的两个网络在测试图像上是否不同。`p（Holm）` 已对本报告的所有配对做校正。"
    ),
    "legend.more": "另有 {count} 个见 report.csv。",
    "legend.passes": (
        "`超过普通 CNN`：验证准确率首次高于 `simple_cnn` 最终值（{reference}）的轮次，以及其中全网络训练"
        "的轮数。"
    ),
    "legend.below": (
        "`训练低于验证`：训练准确率（训练所用的图像，权重仍在变化）低于验证准确率（一轮之后）的轮数。"
    ),
    "legend.gain": (
        "`比随机权重高`：测试准确率比同一配置从随机权重训练（只允许 `freeze_epochs` 也不同，取最佳者）"
        "高出的百分点。"
    ),
    "gain.noise": "{gain}，无法区分",
    "plain.reference": "{epochs} 轮后 {accuracy} %",
    "plain.missing": "不在这些运行中",
    "passes.never": "从未",
    "passes.frozen": "第 {epoch} 轮，仍在冻结",
    "passes.after": "第 {epoch} 轮，全网络训练 {after} 轮",
    "below.count": "{epochs} 轮中的 {below} 轮",
    "accuracy.alone": "测试准确率 {accuracy} %",
    "accuracy.seeds": "测试准确率 {accuracy} %（{seeds} 个种子的 95 % 区间：{low} 至 {high}）",
    "accuracy.images": (
        "测试准确率 {accuracy} %（一个种子；针对其测试图像的 95 % 区间：{low} 至 {high}）"
    ),
    "verdict.apart": "超出噪声",
    "verdict.images": "超出这些测试图像上的偶然",
    "verdict.reversed": "超出噪声，但在双方共有的部分上方向相反",
    "verdict.same": "无法区分",
    "difference.unknown": "未知的百分点：没有共同的种子有测试准确率",
    "difference.untested": "{points} 个百分点，未检验：没有共同的种子或测试图像",
    "difference.images": (
        "{points} 个百分点：{verdict}（同一种子测试图像上的 McNemar 检验，p {p}；不包含种子的运气）"
    ),
    "difference.seeds": (
        "{points} 个百分点（{seeds} 个种子的 95 % 区间 {low} 至 {high}）：{verdict}（p {p}）"
    ),
    "and_more": "，另有 {count} 个",
    "finding.no_accuracy": "{rows} 个配置都没有测试准确率。",
    "finding.first": "**均值最高：`{label}`**，{accuracy}。",
    "finding.second": "均值第二的是 `{label}`，与它相差 {difference}。",
    "finding.equals": "与它无法区分、并列第一的还有：{names}。",
    "finding.chosen": (
        "未见测试图像的验证准确率在 {count} 种配置中同样选中它：其测试准确率没有因挑选而虚高。"
    ),
    "finding.chosen_other": (
        "未见测试图像的验证准确率会在 {count} 种配置中选中 `{label}`：{accuracy}。"
        "平均最好者的领先可能部分来自在测试图像上被挑中。"
    ),
    "finding.unbalanced": (
        "测试图像的类别不均衡：一律回答 {name} 就能得到 {share} %。"
        "若各类别权重相同，取各类准确率的平均，最好的是 `{label}`，为 {balanced} %。"
    ),
    "finding.best_is_cheapest": "没有配置比 `{label}` 运行更便宜：每张图像 {macs} 次乘加。",
    "finding.cheapest": (
        "**用于小设备：`{label}`**，运行最便宜，每张图像 {macs} 次乘加，是 `{best}` 的 {share} %。"
        "与后者相差 {difference}。"
    ),
    "finding.freeze": "`{label}`：冻结 {better} 轮与冻结 {other} 轮相差 {difference}{also}。",
    "finding.weights": "`{label}`：weights={better} 与 weights={other} 相差 {difference}{also}。",
    "finding.size": "`{label}`：{better} 像素与 {other} 像素相差 {difference}{also}。",
    "finding.also": "；两者的 {names} 也不同",
    "finding.below": (
        "{all} 个配置中有 {rows} 个的训练准确率曾低于验证准确率，最多的是 `{label}`（{epochs} 轮中的"
        " {below} 轮）：{reason}。"
    ),
    "reason.augmented": "只有训练图像做了增强，而且统计时权重仍在变化",
    "reason.moving": "统计训练图像时权重仍在变化",
    "finding.overfits": (
        "{all} 个配置中有 {rows} 个在训练图像上比测试图像上好 2 个百分点以上（按其准确率区间的上端计）；"
        "最明显的是 `{label}`，{gap} 个百分点。"
    ),
    "finding.no_overfitting": (
        "没有看到哪个配置过拟合 2 个百分点以上：最终训练准确率与测试准确率的最大差距为 {gap} 个百分点"
        "（`{label}`）。"
    ),
    "finding.stability": (
        "最后最平稳的是 `{steady}`（迭代损失波动 {least}），最不平稳的是 `{unsteady}`（{most}）。"
    ),
    "finding.scatter": (
        "不同种子之间，`{label}` 的测试准确率波动最大：{seeds} 个种子的标准差为 {std} 个百分点。"
    ),
    "plot.epoch": "轮次",
    "plot.accuracy": "准确率，%",
    "plot.accuracy_lines": "准确率，%（实线：验证，虚线：训练）",
    "plot.loss": "损失",
    "plot.loss_lines": "损失（实线：验证，虚线：训练）",
    "plot.unfreeze": "解冻",
    "plot.iteration": "迭代",
    "plot.iteration_lines": "训练损失（浅：原始，深：滑动平均）",
    "plot.test_accuracy": "测试准确率，%",
    "plot.macs": "每张图像百万次乘加",
    "plot.latency": "单张图像延迟，ms",
    "plot.train_s": "训练时间，s",
    "plot.front": "帕累托前沿",
    "plot.class": "类别",
    "plot.difference": "高出该类别均值的百分点",
    "plot.true": "真实类别",
    "plot.predicted": "预测类别",
    "plot.confidence": "置信度，%",
    "plot.ideal": "理想",
    "plot.every": "按名次每 {step} 个配置画一条线",
    "plot.some": "{all} 个配置中最好的 {shown} 个",
    "plot.named": "彩色：{all} 个配置中最好的 {shown} 个",
}
